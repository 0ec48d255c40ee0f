module Catenary
  module Rails
    # One thread of Workers.
    class Worker
      # Guarded by Workers: the call that it runs, and the link whose reading role it has.
      attr_accessor :call, :link
      attr_reader :thread

      def initialize(workers)
        @workers = workers
        @ready = ConditionVariable.new
      end

      def start(number)
        @thread = FreshThread.start do
          Thread.current.name = "catenary #{number}"
          Thread.current.thread_variable_set(Workers::CURRENT, self)
          run
        ensure
          @workers.remove_worker self
        end
      end

      # Waits until it has a call or a link.
      def wait(mutex)
        @ready.wait(mutex) until @call || @link
      end

      def wake
        @ready.signal
      end

      private
        def run
          loop do
            perform @call if @call
            read_link if @link
            @workers.park(self) unless @call || @link
          end
        end

        # Reads the link and runs its calls for as long as this thread has the reading role.
        def read_link
          link = @link
          while call = link.read
            perform call if @workers.claim(link, call)
            return unless link.equal?(@link)
          end
          @link = nil
          @workers.remove_link link
          link.close
        end

        # Runs the call, then those that are queued.
        def perform(call)
          while call
            @call = call
            call.run
            call = @workers.finish(self, call)
          end
          @call = nil
        end
    end
  end
end
