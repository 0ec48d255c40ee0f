require "io/wait"
require "openssl"
require "socket"

module Catenary
  module Rails
    # Frames on a hijacked socket: four bytes of length, the text, and with keys a MAC. Any thread
    # may write; only one may read at a time.
    #
    # The socket may be Puma's own TLS (Puma::MiniSSL::Socket), on which reads and writes must not
    # run at once. It is therefore read under the writers' mutex, and waited for outside of it.
    class Framing
      include Clock

      LIMIT = 32 * 1024 * 1024 # bytes of a frame
      CHUNK = 64 * 1024        # bytes read at once
      TLS_CHUNK = 16 * 1024    # bytes that a writable socket accepts: MiniSSL can only write blockingly
      WRITE_SECONDS = 10       # to wait for a peer that reads nothing
      MAC_BYTES = 32
      UNINTERRUPTED = { Object => :never }.freeze

      # Raised by read if what was read is not a valid frame.
      class Invalid < StandardError; end

      # keys: those of the MACs for reading and for writing; nil for frames without MACs.
      def initialize(io, keys: nil)
        @io, @tls = io, !io.is_a?(IO)
        @read_mac, @write_mac = keys&.map { |key| Mac.new(key) }
        @mutex = Mutex.new
        @buffer, @chunk, @position = "".b, "".b, 0
        @unwritten, @held = "".b, 0 # frames that are held, and how many
        @closed = false
        configure socket if socket.is_a?(TCPSocket)
      end

      def closed?
        @closed
      end

      # Returns the text of the next frame; nil if the peer has closed (see closed?), or if no frame
      # has arrived within that many seconds. Raises Invalid.
      def read(seconds = nil)
        deadline = now + seconds if seconds
        until text = take
          return unless fill(deadline)
        end
        text
      end

      # Whether read would find more, in the buffer or in the socket.
      def readable?
        buffered? || !!socket.wait_readable(0)
      rescue SystemCallError, IOError
        false
      end

      # Whether the buffer has at least a part of another frame.
      def buffered?
        @position < @buffer.bytesize
      end

      # How many frames are held, or are being written.
      attr_reader :held

      # Writes the HTTP response that precedes all frames. Returns whether it was written.
      def write_head(text)
        return true if @mutex.synchronize { send_all(text.b) }
        close
        false
      rescue SystemCallError, IOError, *Framing.tls_errors
        close
        false
      end

      # Writes a frame. hold: waits until the next one is written, or until flush. Returns whether
      # it was written; if not, the link is closed.
      def write(text, hold: false)
        # A Timeout of the application's must not cut a frame in two.
        Thread.handle_interrupt(UNINTERRUPTED) do
          @mutex.synchronize do
            next false if @closed
            text.force_encoding(Encoding::BINARY)
            frame = [text.bytesize].pack("N") << text
            frame << @write_mac.next(text) if @write_mac
            @unwritten << frame
            @held += 1
            (hold && @unwritten.bytesize < CHUNK) || send_unwritten
          end
        end
      rescue SystemCallError, IOError, *Framing.tls_errors
        hang_up
        false
      end

      # Writes the frames that are held, unless another thread is writing them.
      def flush
        return if @unwritten.empty?
        Thread.handle_interrupt(UNINTERRUPTED) do
          @mutex.synchronize { send_unwritten unless @closed || @unwritten.empty? }
        end
      rescue SystemCallError, IOError, *Framing.tls_errors
        hang_up
      end

      # Shuts the connection down, for the peer and for the thread that reads. That thread then
      # closes it.
      def hang_up
        @closed = true
        socket.shutdown
      rescue SystemCallError, IOError
        nil # it is shut down already
      end

      # Ends writing. The peer may still send.
      def close_write
        socket.shutdown ::Socket::SHUT_WR
      rescue SystemCallError, IOError
        nil
      end

      # Only for the thread that reads.
      def close
        @closed = true
        @mutex.synchronize { @io.close }
      rescue SystemCallError, IOError, *Framing.tls_errors
        nil
      end

      # Closes the descriptor in a forked child. The connection stays its parent's, so nothing is
      # sent over it (no close_notify).
      def abandon
        @closed = true
        socket.close
      rescue SystemCallError, IOError
        nil
      end

      def self.tls_errors
        defined?(::Puma::MiniSSL::SSLError) ? [::Puma::MiniSSL::SSLError] : []
      end

      # The MACs of all frames in one direction, which are numbered from 0.
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

        # With keep-alive, a peer that vanished is detected within a minute.
        def configure(socket)
          socket.setsockopt(::Socket::IPPROTO_TCP, ::Socket::TCP_NODELAY, 1)
          socket.setsockopt(::Socket::SOL_SOCKET, ::Socket::SO_KEEPALIVE, 1)
          { TCP_KEEPIDLE: 30, TCP_KEEPINTVL: 10, TCP_KEEPCNT: 3 }.each do |name, value|
            socket.setsockopt(::Socket::IPPROTO_TCP, ::Socket.const_get(name), value) if ::Socket.const_defined?(name)
          end
        end

        # Takes a frame's text out of the buffer; nil if it is not complete.
        def take
          available = @buffer.bytesize - @position
          return if available < 4

          length = @buffer.byteslice(@position, 4).unpack1("N")
          raise Invalid, "a frame has #{length} bytes, more than #{LIMIT}" if length > LIMIT
          total = 4 + length + (@read_mac ? MAC_BYTES : 0)
          return if available < total

          text = @buffer.byteslice(@position + 4, length).force_encoding(Encoding::UTF_8)
          check text, @buffer.byteslice(@position + 4 + length, MAC_BYTES) if @read_mac
          @position += total
          @buffer.clear && @position = 0 if @position == @buffer.bytesize
          text
        end

        def check(text, mac)
          OpenSSL.fixed_length_secure_compare(mac, @read_mac.next(text)) or raise Invalid, "a frame has a wrong MAC"
        end

        # Reads into the buffer. Returns whether it has read something.
        def fill(deadline)
          loop do
            return if @closed
            case read_some
            when :wait_readable
              flush
              return unless wait(deadline)
            when nil
              @closed = true
              return
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
          remaining = deadline - now
          remaining > 0 && socket.wait_readable(remaining)
        end

        def compact
          return if @position < CHUNK
          @buffer = @buffer.byteslice(@position, @buffer.bytesize)
          @position = 0
        end

        def send_unwritten
          data, @unwritten = @unwritten, "".b
          if send_all(data)
            @held = 0
            true
          else
            hang_up
            false
          end
        end

        # Returns false if the peer reads nothing for WRITE_SECONDS.
        def send_all(data)
          return send_all_over_tls(data) if @tls
          loop do
            case written = @io.write_nonblock(data, exception: false)
            when :wait_writable then return false unless @io.wait_writable(WRITE_SECONDS)
            when data.bytesize then return true
            else data = data.byteslice(written, data.bytesize)
            end
          end
        end

        def send_all_over_tls(data)
          0.step(data.bytesize - 1, TLS_CHUNK) do |start|
            return false unless socket.wait_writable(WRITE_SECONDS)
            @io.write data.byteslice(start, TLS_CHUNK)
          end
          true
        end
    end
  end
end
