module Catenary
  module Rails
    # What happens to one connection, in its order. While a command runs it is kept for the reply; what comes later, from a
    # thread of the application's, is published.
    class Ops
      def initialize(connection, late_effects, early_flush)
        @connection, @late_effects, @early_flush = connection, late_effects, early_flush
        @mutex = Mutex.new
        @command = 0
        @closed = false
      end

      # A command of that node begins. seq: of catenary's call, by which effects may be published while it runs; nil if they
      # may not.
      def begin(node, seq)
        @mutex.synchronize do
          @node, @seq = node, seq
          @command += 1
          @list, @watched, @published, @streaming = [], false, 0, false
        end
      end

      def record(*op)
        @mutex.synchronize do
          if @closed
            # Natively, too, nothing reaches a closed socket.
          elsif @list
            @streaming ||= op.first == "sub"
            @list << op
            watch
          else
            @late_effects.publish(@node, @connection, @seq, [op])
          end
        end
      end

      # Leaves a broadcast to catenary, if the command has opened a stream, and if catenary hears what it publishes itself.
      # Returns whether it did.
      def broadcast(stream, payload)
        @mutex.synchronize do
          next false unless @list && @streaming && @late_effects.heard? && payload.is_a?(String) && payload.dup.force_encoding("UTF-8").valid_encoding?
          @list << ["broadcast", stream, payload.dup.force_encoding("UTF-8")]
          watch
          true
        end
      end

      # Publishes what the command has done so far, if it is still running. The reply tells it again. The command does not wait
      # meanwhile: the pub/sub may not answer.
      def flush(command)
        return unless message = untold(command)
        heard = @late_effects.publish_early(*message)
        @mutex.synchronize { @published += message.last.size if heard && command == @command }
      end

      # The command ends. Returns its ops.
      def finish
        @mutex.synchronize do
          list, @list = @list, nil
          list
        end
      end

      # The connection is gone; nothing is recorded any more.
      def close
        @mutex.synchronize { @closed, @list = true, nil }
      end

      private
        def untold(command)
          @mutex.synchronize do
            next if command != @command || @list.nil?
            @watched = false
            [@node, @connection, @seq, @published, @list.drop(@published)]
          end
        end

        def watch
          return if @watched || @seq.nil?
          @watched = true
          @early_flush.watch(self, @command)
        end
    end
  end
end
