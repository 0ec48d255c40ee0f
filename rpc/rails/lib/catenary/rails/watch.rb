module Catenary
  module Rails
    # A thread that looks after everything that is due: the effects of running calls, reading roles,
    # states to hand over, and whether the web server is stopping. It ticks every five milliseconds
    # while calls run or states are due, and every 50 milliseconds otherwise.
    class Watch
      TICK = 0.005
      IDLE_TICK = 0.05
      IDLE_AFTER = 10      # ticks without anything to do
      DATABASE_SECONDS = 1 # between two looks at the database's connection pool

      def initialize(workers, links, handover)
        @workers, @links, @handover = workers, links, handover
        @mutex, @woken = Mutex.new, ConditionVariable.new
        @idle = false
        @polled = @sampled = 0
        @database = DatabaseWaits.new
      end

      def start
        @thread = Thread.new do
          Thread.current.name = "catenary watch"
          run
        end
      end

      # A call begins.
      def wake
        return unless @idle
        @mutex.synchronize { @woken.signal }
      end

      private
        def run
          quiet = 0
          loop do
            quiet = tick ? 0 : quiet + 1
            quiet < IDLE_AFTER ? sleep(TICK) : rest
          rescue StandardError => error
            ::Rails.logger&.error "[catenary] the watch thread failed: #{error.message} (#{error.class})\n" \
              "#{error.backtrace&.first(5)&.join("\n")}"
          end
        end

        # Returns whether calls are running, or more states are due.
        def tick
          now = Clock.now
          running = @workers.tick
          @workers.calls.each(&:flush) if running
          @links.flush
          due = @handover.write_due(idle: !running)
          @links.flush # the states
          if now - @polled >= IDLE_TICK
            @polled = now
            @links.poll
          end
          if running && now - @sampled >= DATABASE_SECONDS
            @sampled = now
            # By name, to include the threads of handshakes.
            @database.check Thread.list.select { |thread| thread.name&.start_with?("catenary ") }
          end
          running || due
        end

        def rest
          @mutex.synchronize do
            @idle = true
            @woken.wait(@mutex, IDLE_TICK) if @workers.running == 0
            @idle = false
          end
        end
    end
  end
end
