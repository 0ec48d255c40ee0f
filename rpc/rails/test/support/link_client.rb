# catenary's end of a link.
class LinkClient
  # Raised if the upgrade is not answered with 101.
  class Refused < StandardError
    attr_reader :status, :headers

    def initialize(status, headers)
      @status, @headers = status, headers
      super("the upgrade was answered with #{status}")
    end
  end

  attr_reader :headers, :frames

  # Opens a link to a server, over TCP.
  def self.connect(port, path: "/_catenary", tls: false, **options)
    new(**options) do |headers, client|
      socket = TCPSocket.new("127.0.0.1", port)
      socket = OpenSSL::SSL::SSLSocket.new(socket).tap(&:connect) if tls
      socket.write "GET #{path} HTTP/1.1\r\nHost: 127.0.0.1:#{port}\r\n#{headers.map { |name, value| "#{name}: #{value}\r\n" }.join}\r\n"
      client.take socket
    end
  end

  # Opens a link to the application in this process. env: changes to the Rack environment.
  def self.pair(env: {}, **options)
    new(**options) do |headers, client|
      ours, theirs = UNIXSocket.pair
      headers = headers.to_h { |name, value| ["HTTP_#{name.upcase.tr("-", "_")}", value] }
      rack = Rack::MockRequest.env_for("http://app.test/_catenary").merge("REMOTE_ADDR" => "127.0.0.1", "HTTP_HOST" => "app.test", "rack.hijack" => -> { theirs })
      status, answered, = ::Rails.application.call(rack.merge(headers).merge(env).compact)
      raise Refused.new(status, answered) unless status == -1
      client.take ours
    end
  end

  def initialize(secret: Calls::SECRET, node: Calls::NODE, frames: "plain", known: "", nonce: SecureRandom.hex(16), headers: {}, prove: true)
    @key = OpenSSL::HMAC.digest("SHA256", secret, "catenary rpc v1")
    @nonce, @node = nonce, node
    @mutex = Monitor.new
    @changed = @mutex.new_cond
    @frames, @numbers, @ended = [], 0, false
    time = Time.now.to_i.to_s
    signature = hex(@key, "link v1\n#{time}\n#{nonce}\n#{node}\n#{frames}\n#{known}")
    yield({ "Connection" => "Upgrade", "Upgrade" => "catenary", "Catenary-Node" => node, "Catenary-Frames" => frames, "Catenary-Known" => known,
      "Catenary-Time" => time, "Catenary-Nonce" => nonce, "Catenary-Signature" => signature }.merge(headers).compact, self)
    return unless prove
    write({ proof: hex(@link_key, "open") })
    await_frame { |frame| frame.key?("hello") }
  end

  # Reads the response to the upgrade.
  def take(socket)
    @socket = socket
    status = gets.split[1].to_i
    @headers = {}
    while (line = gets) != ""
      name, value = line.split(": ", 2)
      @headers[name.downcase] = value
    end
    unless status == 101
      socket.close
      raise Refused.new(status, @headers)
    end

    @link_key = OpenSSL::HMAC.digest("SHA256", @key, "link v1 key\n#{@nonce}\n#{@headers["catenary-nonce"]}")
    @mac = @headers["catenary-frames"] == "mac"
    @written = @read = 0
    @reader = Thread.new { read_frames }
  end

  # Whether the gem has proved that it has the secret.
  def proved?
    @headers["catenary-proof"] ==
      hex(@key, "link v1 proof\n#{@nonce}\n#{@headers["catenary-nonce"]}\n#{@headers["catenary-process"]}\n#{@headers["catenary-frames"]}")
  end

  def hello
    @mutex.synchronize { @frames.filter_map { |frame| frame["hello"] }.first }
  end

  # Sends a call. Returns its number.
  def call(**call)
    number = @mutex.synchronize { @numbers += 1 }
    write({ call: number }.merge(call))
    number
  end

  # Waits for the result of a call. Its ops are all effects of the call.
  def result(number)
    await_frame { |frame| frame["end"] == number }.then do |result|
      result = result.except("end")
      result.key?("ops") ? result.merge("ops" => effects(number) + result["ops"]) : result
    end
  end

  # The effects of a call that arrived before its result.
  def effects(number)
    @mutex.synchronize { @frames.select { |frame| frame["call"] == number }.flat_map { |frame| frame["ops"] } }
  end

  # The effects on a connection that arrived outside of its calls.
  def late(name)
    @mutex.synchronize { @frames.select { |frame| frame["conn"] == name && frame.key?("ops") }.flat_map { |frame| frame["ops"] } }
  end

  # Waits until the block returns something true for the frames so far. Returns that.
  def await(what = "the expected frames")
    deadline = now + PATIENCE
    @mutex.synchronize do
      until found = yield(@frames)
        raise "the link was closed before #{what}: #{@frames.last(3)}" if @ended
        raise "no #{what} within #{PATIENCE} s: #{@frames.last(5)}" if now > deadline
        @changed.wait(1)
      end
      found
    end
  end

  def await_frame(&block)
    await("matching frame") { |frames| frames.find(&block) }
  end

  # Waits until the gem has hung up.
  def await_end
    @reader.join(PATIENCE) or raise "the gem did not hang up"
    self
  end

  # From now on, syncs have to be answered by the test.
  def leave_syncs_unanswered
    @leave_syncs = true
  end

  # Waits for a sync. Returns its number.
  def await_sync
    await_frame { |frame| frame.key?("sync") }.fetch("sync")
  end

  def write(message)
    write_text JSON.generate(message)
  end

  def write_text(text, mac: nil)
    text = text.b
    @mutex.synchronize do
      frame = [text.bytesize].pack("N") + text
      frame << (mac || digest("catenary", @written, text)) if @mac
      @written += 1
      @socket.write frame
    end
  end

  def write_bytes(bytes)
    @socket.write bytes
  end

  def close
    @socket.close
  end

  private
    def gets
      Timeout.timeout(PATIENCE, nil, "no answer to the upgrade") { @socket.gets&.chomp.to_s }
    end

    def read_frames
      while length = @socket.read(4)&.unpack1("N")
        text = @socket.read(length) or break
        raise "wrong MAC" if @mac && @socket.read(32) != digest("rails", @read, text)
        @read += 1
        take_frame JSON.parse(text)
      end
    rescue SystemCallError, IOError, OpenSSL::SSL::SSLError
      nil
    ensure
      @mutex.synchronize do
        @ended = true
        @changed.broadcast
      end
    end

    def take_frame(frame)
      @mutex.synchronize do
        @frames << frame
        @changed.broadcast
      end
      write({ synced: frame["sync"] }) if frame["sync"] && !@leave_syncs
      write({ heard: "going" }) if frame["going"] == "began"
    end

    def digest(sender, number, text)
      key = OpenSSL::HMAC.digest("SHA256", @link_key, sender)
      OpenSSL::HMAC.digest("SHA256", key, [number].pack("Q>") + text)
    end

    def hex(key, text)
      OpenSSL::HMAC.hexdigest("SHA256", key, text)
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
end
