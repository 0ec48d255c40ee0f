# Tokens as devise-jwt makes them, and the denylist of those who have signed out.
module SignIn
  ALGORITHM = "HS256"

  mattr_accessor :given, default: {}  # user ids by jti
  mattr_accessor :denied, default: [] # jti

  def self.in(uid, seconds)
    require "jwt"
    now, jti = Time.now.to_i, SecureRandom.uuid
    given[jti] = uid.to_s
    JWT.encode({ jti: jti, sub: uid.to_s, scp: "user", aud: nil, iat: now, exp: now + seconds }, secret, ALGORITHM)
  end

  # nil if it is not good, or not good any more.
  def self.user(token)
    require "jwt"
    claims, = JWT.decode(token, secret, true, algorithm: ALGORITHM)
    User.new(claims["sub"]) unless denied.include?(claims["jti"])
  rescue JWT::DecodeError
    nil
  end

  # Another token, if there is still somebody who has one.
  def self.again(uid, seconds)
    self.in(uid, seconds) if (given.filter_map { |jti, user| jti if user == uid.to_s } - denied).any?
  end

  def self.out(uid)
    self.denied += given.filter_map { |jti, user| jti if user == uid.to_s }
  end

  def self.secret
    ENV.fetch("LAB_JWT_SECRET")
  end
end
