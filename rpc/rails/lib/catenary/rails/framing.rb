require "io/wait"
require "openssl"
require "socket"

module Catenary
  module Rails
    # Frames on a hijacked socket: four bytes of length, the text, and with keys a MAC. One thread reads at a time; any may write.
    #
    # The socket may be Puma's own TLS (Puma::MiniSSL::Socket), which does not bear a thread that reads beside one that writes: so
    # it is read under the writers' mutex, and waited for outside of it.
    class Framing
      include Clock

      LIMIT = 32 * 1024 * 1024 # bytes of a frame
      CHUNK = 64 * 1024
      TLS_CHUNK = 16 * 1024    # what a writable socket takes without blocking: MiniSSL only writes blockingly
      WRITE_SECONDS = 10       # for which the peer may take nothing
      MAC_BYTES = 32
      UNINTERRUPTED = { Object => :never }.freeze

      # What was read is no frame.
      class Broken < StandardError; end

      # keys: nil, or those of the MACs that are read and written.
      def initialize(io, keys: nil)
        @io, @tls = io, !io.is_a?(IO)
        @read_mac, @write_mac = keys&.map { |key| Mac.new(key) }
        @mutex = Mutex.new
        @buffer, @chunk, @position = "".b, "".b, 0
        @held = "".b # frames that are not written yet
        @closed = false
        tune socket if socket.is_a?(TCPSocket)
      end

      def closed?
        @closed
      end

      # The next frame's text; nil at the end, or if none has come within so many seconds (see closed?). Raises Broken.
      def read(seconds = nil)
        deadline = now + seconds if seconds
        until text = take
          return unless fill(deadline)
        end
        text
      end

      # Whether something has come that has not been read.
      def waiting?
        @position < @buffer.bytesize || !!socket.wait_readable(0)
      rescue SystemCallError, IOError
        false
      end

      # Whether a part of what has been read at least is still to be taken.
      def more?
        @position < @buffer.bytesize
      end

      # Writes the HTTP answer that comes before all frames. Returns whether it was written.
      def write_head(text)
        @mutex.synchronize { put(text.b) } || (close && false)
      rescue SystemCallError, IOError, *Framing.tls_errors
        close
        false
      end

      # Writes one frame, or holds it until the next is written or flush is called. Returns whether it was written: the link is
      # over if it was not.
      def write(text, hold: false)
        Thread.handle_interrupt(UNINTERRUPTED) do # no Timeout of the application's in the middle of a frame
          @mutex.synchronize do
            next false if @closed
            text.force_encoding(Encoding::BINARY)
            frame = [text.bytesize].pack("N") << text
            frame << @write_mac.next(text) if @write_mac
            @held << frame
            (hold && @held.bytesize < CHUNK) || put_held
          end
        end
      rescue SystemCallError, IOError, *Framing.tls_errors
        hang_up
        false
      end

      # Writes what is held.
      def flush
        return if @held.empty?
        Thread.handle_interrupt(UNINTERRUPTED) do
          @mutex.synchronize { put_held unless @closed || @held.empty? }
        end
      rescue SystemCallError, IOError, *Framing.tls_errors
        hang_up
      end

      # Ends it for the peer and for the thread that reads, which then closes it.
      def hang_up
        @closed = true
        socket.shutdown
      rescue SystemCallError, IOError
        nil # it has ended already
      end

      # The peer sees the end; what it still sends is read.
      def end_writing
        socket.shutdown ::Socket::SHUT_WR
      rescue SystemCallError, IOError
        nil
      end

      # Only by the thread that reads.
      def close
        @closed = true
        @mutex.synchronize { @io.close }
      rescue SystemCallError, IOError, *Framing.tls_errors
        nil
      end

      # In a child process: the connection stays its parent's, and hears nothing of this (no close_notify).
      def forget
        @closed = true
        socket.close
      rescue SystemCallError, IOError
        nil
      end

      def self.tls_errors
        defined?(::Puma::MiniSSL::SSLError) ? [::Puma::MiniSSL::SSLError] : []
      end

      # The MAC of frame after frame in one direction.
      class Mac
        def initialize(key)
          @hmac, @number = OpenSSL::HMAC.new(key, "SHA256"), -1
        end

        def next(text)
          @hmac.reset
          @hmac << [@number += 1].pack("Q>") << text
          @hmac.digest
        end
      end

      private
        def socket
          @tls ? @io.to_io : @io
        end

        # A peer that is gone without a word is noticed within a minute.
        def tune(socket)
          socket.setsockopt(::Socket::IPPROTO_TCP, ::Socket::TCP_NODELAY, 1)
          socket.setsockopt(::Socket::SOL_SOCKET, ::Socket::SO_KEEPALIVE, 1)
          { TCP_KEEPIDLE: 30, TCP_KEEPINTVL: 10, TCP_KEEPCNT: 3 }.each do |name, value|
            socket.setsockopt(::Socket::IPPROTO_TCP, ::Socket.const_get(name), value) if ::Socket.const_defined?(name)
          end
        end

        def take
          available = @buffer.bytesize - @position
          return if available < 4

          length = @buffer.byteslice(@position, 4).unpack1("N")
          raise Broken, "a frame of #{length} bytes, more than #{LIMIT}" if length > LIMIT
          whole = 4 + length + (@read_mac ? MAC_BYTES : 0)
          return if available < whole

          text = @buffer.byteslice(@position + 4, length).force_encoding(Encoding::UTF_8)
          check text, @buffer.byteslice(@position + 4 + length, MAC_BYTES) if @read_mac
          @position += whole
          @buffer.clear && @position = 0 if @position == @buffer.bytesize
          text
        end

        def check(text, mac)
          OpenSSL.fixed_length_secure_compare(mac, @read_mac.next(text)) or raise Broken, "a frame whose MAC is wrong"
        end

        # Returns whether something was read.
        def fill(deadline)
          loop do
            return if @closed
            case read_some
            when :wait_readable
              flush
              return unless wait(deadline)
            when nil then return (@closed = true) && nil
            else
              compact
              @buffer << @chunk
              return true
            end
          end
        rescue SystemCallError, IOError, *Framing.tls_errors
          @closed = true
          nil
        end

        def read_some
          return @io.read_nonblock(CHUNK, @chunk, exception: false) unless @tls
          @mutex.synchronize { @chunk = @io.read_nonblock(CHUNK) }
        rescue IO::WaitReadable
          :wait_readable
        end

        def wait(deadline)
          return socket.wait_readable unless deadline
          rest = deadline - now
          rest > 0 && socket.wait_readable(rest)
        end

        def compact
          return if @position < CHUNK
          @buffer = @buffer.byteslice(@position, @buffer.bytesize)
          @position = 0
        end

        def put_held
          data, @held = @held, "".b
          put(data) || (hang_up && false)
        end

        # Returns false if the peer takes nothing.
        def put(data)
          return put_tls(data) if @tls
          loop do
            case written = @io.write_nonblock(data, exception: false)
            when :wait_writable then return false unless @io.wait_writable(WRITE_SECONDS)
            when data.bytesize then return true
            else data = data.byteslice(written, data.bytesize)
            end
          end
        end

        def put_tls(data)
          0.step(data.bytesize - 1, TLS_CHUNK) do |start|
            return false unless socket.wait_writable(WRITE_SECONDS)
            @io.write data.byteslice(start, TLS_CHUNK)
          end
          true
        end
    end
  end
end
