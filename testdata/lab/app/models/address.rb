# The addresses that the application sees in a request.
module Address
  def self.of(request)
    remote_ip = begin
      request.remote_ip
    rescue ActionDispatch::RemoteIp::IpSpoofAttackError
      "spoofed"
    end
    { remote_ip: remote_ip, ip: request.ip, ssl: request.ssl?, host: request.host, port: request.port, base_url: request.base_url, raw_host: request.headers["Host"] }
  end
end
