module Catenary
  module Rails
    # Lets no effect of a slow command wait for its end: natively the browser has it at once, and a stream is live as soon as
    # it is asked for. One thread for all connections, asleep unless there are commands with effects.
    class EarlyFlush
      DELAY = 0.05 # seconds that an effect may wait for the reply

      PAUSE = 0.01 # seconds at least, so that many short commands do not wake the thread as many times

      def initialize
        @queue = Queue.new
        @mutex = Mutex.new
      end

      # Has ops flushed after the delay, if the command that they belong to is still running then.
      def watch(ops, command)
        @queue << [now + DELAY, ops, command]
        start unless @thread&.alive?
      end

      private
        # Not in the constructor: threads do not survive a fork.
        def start
          @mutex.synchronize do
            @thread = Thread.new { run } unless @thread&.alive?
          end
        end

        # The delay is the same for all, so that the queue is in the order of the due times.
        def run
          Thread.current.name = "catenary early flush"
          loop do
            due, ops, command = @queue.pop
            rest = due - now
            sleep [rest, PAUSE].max if rest > 0
            ops.flush(command)
          end
        end

        def now
          Process.clock_gettime(Process::CLOCK_MONOTONIC)
        end
    end
  end
end
