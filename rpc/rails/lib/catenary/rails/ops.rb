module Catenary
  module Rails
    # The effects on one connection, in their order. While a call runs they are collected for its end, or over a link for the next
    # tick; Sync has them written before anybody can hear of what the command does next. After a call each is written at
    # once. Without a link they are lost after it.
    class Ops
      COLLECTED = 1024 * 1024 # bytes, beyond which they are written

      LATE = ThrottledLog.new do |count|
        "#{count} effects of threads were lost, because their command had ended: only over a link do they reach catenary"
      end

      attr_reader :connection, :touched

      def initialize(connection)
        @connection = connection
        @mutex = Mutex.new
        @open = false # from the first call on, until the connection's end
        @touched = []
      end

      # A call begins.
      def begin(link, number)
        @mutex.synchronize do
          @open, @link, @number = true, link, number
          @list, @bytes, @failed = [], 0, false
          @touched.clear
        end
      end

      def record(*op)
        @mutex.synchronize do
          next unless @open # natively, too, nothing reaches a closed socket
          if @list.nil?
            late op
          else
            touch op
            collect op
          end
        end
      end

      # Writes what has been collected of a call that is still running.
      def flush
        @mutex.synchronize { write_collected if @list && @link }
      end

      # Waits until catenary has all of it.
      def sync(link, deadline)
        flush
        link.sync(@connection, deadline)
      end

      # Whether an effect of this call could not be written.
      def failed?
        @failed
      end

      # The call ends. Yields its remaining effects, before any later one can be written.
      def finish
        @mutex.synchronize do
          list, @list = @list || [], nil
          yield list
        end
      end

      # Yields when the end of the last call has been written.
      def ended
        @mutex.synchronize { yield }
      end

      # The connection is gone: nothing is recorded any more.
      def close
        @mutex.synchronize { @open = false }
      end

      private
        def touch(op)
          identifier = op[1]
          @touched << identifier unless op.first == "send" || op.first == "internal" || identifier.nil? || @touched.include?(identifier)
        end

        def collect(op)
          @list << op
          return unless @link
          write_collected if (@bytes += op.last.to_s.bytesize) > COLLECTED
          Sync.recorded(self, @link)
        end

        def write_collected
          return if @list.empty?
          @failed = true unless @link.write({ call: @number, ops: @list })
          @list, @bytes = [], 0
        end

        def late(op)
          return LATE.add unless @link
          @link = @link.current
          @link.write({ conn: @connection, ops: [op] })
          Sync.recorded(self, @link)
        end
    end
  end
end
