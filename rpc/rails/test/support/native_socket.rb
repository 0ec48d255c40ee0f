require "securerandom"

# A browser's WebSocket to native Action Cable. Reads and writes short text frames only.
class NativeSocket
  def initialize(port, path)
    @socket = TCPSocket.new("127.0.0.1", port)
    @socket.write "GET #{path} HTTP/1.1\r\nHost: 127.0.0.1:#{port}\r\nOrigin: http://127.0.0.1:#{port}\r\nUpgrade: websocket\r\n" \
      "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: #{SecureRandom.base64(16)}\r\n\r\n"
    nil until @socket.gets == "\r\n"
  end

  # Returns the next frame that is not a ping.
  def read
    loop do
      raise "no frame within 5 s" unless @socket.wait_readable(5)
      _, length = @socket.read(2).unpack("CC")
      length = @socket.read(2).unpack1("n") if length == 126
      text = @socket.read(length).force_encoding(Encoding::UTF_8)
      return text unless text.start_with?('{"type":"ping"')
    end
  end

  def write(text)
    length = text.bytesize < 126 ? [text.bytesize | 0x80].pack("C") : [126 | 0x80, text.bytesize].pack("Cn")
    @socket.write [0x81].pack("C") + length + "\0\0\0\0" + text
  end

  def close
    @socket.close
  end
end
