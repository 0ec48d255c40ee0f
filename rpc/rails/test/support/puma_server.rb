require "net/http"
require "tempfile"

# Puma with the application, in a process of its own.
class PumaServer
  attr_reader :port, :pid

  # options: Puma's command line. config: lines for its configuration file. tls: whether to listen
  # with TLS too, on another port.
  def initialize(*options, config: "", tls: false)
    @port = TCPServer.open("127.0.0.1", 0) { |server| server.addr[1] }
    @log = Tempfile.new("puma")
    @config = Tempfile.new(["puma", ".rb"]).tap { |file| file.write(config) && file.flush }
    options += ["-b", tls_address] if tls
    rackup = File.expand_path("config.ru", __dir__)
    @pid = spawn({ "TEST_REDIS_URL" => REDIS.url }, "puma", "-C", @config.path, "-t", "2:2", "-b", "tcp://127.0.0.1:#{@port}", *options, rackup,
      %i[out err] => @log.path)
    wait
  end

  def log
    File.read(@log.path)
  end

  # Opens a link to a process other than those of the known links.
  def link(*known, **options)
    deadline = now + PATIENCE
    begin
      LinkClient.connect(port, known: known.map { |link| link.headers["catenary-process"] }.join(" "), **options)
    rescue LinkClient::Refused, SystemCallError
      raise if now > deadline
      sleep 0.02
      retry
    end
  end

  # Opens a link over Puma's own TLS.
  def tls_link(**options)
    LinkClient.connect(@tls_port, tls: true, **options)
  end

  def signal(name)
    Process.kill(name, pid)
  end

  # Waits until Puma has exited.
  def wait_for_end
    Timeout.timeout(PATIENCE) { Process.wait(pid) }
    @pid = nil
  end

  def kill
    return unless pid
    Process.kill(:TERM, pid)
    wait_for_end
  rescue Timeout::Error
    Process.kill(:KILL, pid)
    Process.wait(pid)
  end

  private
    def tls_address
      @tls_port = TCPServer.open("127.0.0.1", 0) { |server| server.addr[1] }
      key = OpenSSL::PKey::RSA.new(2048)
      cert = OpenSSL::X509::Certificate.new
      cert.subject = cert.issuer = OpenSSL::X509::Name.parse("/CN=localhost")
      cert.public_key, cert.serial, cert.version, cert.not_before, cert.not_after = key.public_key, 1, 2, Time.now - 60, Time.now + 3600
      cert.sign key, "SHA256"
      files = { key: key.to_pem, cert: cert.to_pem }.map do |name, pem|
        file = Tempfile.new(name.to_s).tap { |file| file.write(pem) && file.flush }
        (@files ||= []) << file
        "#{name}=#{file.path}"
      end
      "ssl://127.0.0.1:#{@tls_port}?#{files.join("&")}&verify_mode=none"
    end

    def wait
      deadline = now + PATIENCE
      begin
        Net::HTTP.get(URI("http://127.0.0.1:#{port}/up"))
      rescue SystemCallError, EOFError
        raise "Puma does not answer: #{log}" if now > deadline
        sleep 0.05
        retry
      end
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
end
