# Makes signed POST calls in this process, as catenary does.
module Calls
  SECRET = "0123456789abcdef" * 8
  NODE = "n-test"

  def self.sign(body, secret: SECRET, time: Time.now.to_i, nonce: SecureRandom.hex(16))
    key = OpenSSL::HMAC.digest("SHA256", secret, "catenary rpc v1")
    signature = OpenSSL::HMAC.hexdigest("SHA256", key, "v1\n#{time}\n#{nonce}\n#{body}")
    { "Catenary-Time" => time.to_s, "Catenary-Nonce" => nonce, "Catenary-Signature" => signature }
  end

  # The one that the gem's middleware uses.
  def endpoint
    @endpoint ||= ObjectSpace.each_object(Catenary::Rails::Endpoint).first
  end

  # Returns status, headers and body. env: changes to the Rack environment.
  def http(method, path, body = "", headers: {}, env: {})
    headers = headers.to_h { |name, value| ["HTTP_#{name.upcase.tr("-", "_")}", value] }
    env = Rack::MockRequest.env_for("http://127.0.0.1#{path}", method: method, input: body)
      .merge("REMOTE_ADDR" => "127.0.0.1", "HTTP_HOST" => "app.test").merge(headers).merge(env)
    status, headers, parts = ::Rails.application.call(env)
    text = +""
    parts.each { |part| text << part }
    parts.close if parts.respond_to?(:close)
    [status, headers, text]
  end

  def post(request, env: {}, **signing)
    body = JSON.generate(request)
    http("POST", "/_catenary", body, headers: Calls.sign(body, **signing), env: env)
  end

  def request(*calls, **rest)
    status, _, text = post({ v: 1, node: NODE, calls: calls }, **rest)
    assert_equal 200, status, text
    JSON.parse(text)
  end

  def call(env: {}, **call)
    request(call, env: env).fetch("results").first
  end

  def settings(**rest)
    request(**rest).fetch("settings")
  end
end
