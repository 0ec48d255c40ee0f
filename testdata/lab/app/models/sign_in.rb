# Issues tokens as devise-jwt does, and keeps a denylist of those that were signed out.
module SignIn
  ALGORITHM = "HS256"

  mattr_accessor :issued, default: {}  # user ids by jti
  mattr_accessor :denied, default: [] # jti

  def self.issue(uid, seconds)
    require "jwt"
    now, jti = Time.now.to_i, SecureRandom.uuid
    issued[jti] = uid.to_s
    JWT.encode({ jti: jti, sub: uid.to_s, scp: "user", aud: nil, iat: now, exp: now + seconds }, secret, ALGORITHM)
  end

  # nil if the token is invalid, expired or denied.
  def self.user(token)
    require "jwt"
    claims, = JWT.decode(token, secret, true, algorithm: ALGORITHM)
    User.new(claims["sub"]) unless denied.include?(claims["jti"])
  rescue JWT::DecodeError
    nil
  end

  # Issues another token if the user has one that was not denied.
  def self.refresh(uid, seconds)
    issue(uid, seconds) if (issued.filter_map { |jti, user| jti if user == uid.to_s } - denied).any?
  end

  def self.sign_out(uid)
    self.denied += issued.filter_map { |jti, user| jti if user == uid.to_s }
  end

  def self.secret
    ENV.fetch("LAB_JWT_SECRET")
  end
end
