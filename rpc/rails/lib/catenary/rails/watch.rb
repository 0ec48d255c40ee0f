module Catenary
  module Rails
    # A thread that looks every two milliseconds after the calls that run, and otherwise only now and then after the server.
    class Watch
      TICK = 0.002
      IDLE = 0.05
      PATIENCE = 25 # ticks without a call, before it only looks now and then
      DATABASE = 1  # seconds between two looks at the database's connections

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
            quiet = look ? 0 : quiet + 1
            quiet < PATIENCE ? sleep(TICK) : rest
          rescue StandardError => error
            ::Rails.logger&.error "[catenary] #{error.message} (#{error.class})\n#{error.backtrace&.first(5)&.join("\n")}"
          end
        end

        # Returns whether calls are running.
        def look
          now = Clock.now
          running = @workers.tick
          @workers.calls.each(&:flush) if running
          @links.flush
          @handover.look idle: !running
          if now - @polled >= IDLE
            @polled = now
            @links.poll
          end
          if running && now - @sampled >= DATABASE
            @sampled = now
            @database.look Thread.list.select { |thread| thread.name&.start_with?("catenary ") } # of handshakes, too
          end
          running
        end

        def rest
          @mutex.synchronize do
            @idle = true
            @woken.wait(@mutex, IDLE) if @workers.running == 0
            @idle = false
          end
        end
    end

    # Warns of calls that wait for a connection to the database.
    class DatabaseWaits
      WARNING = ThrottledLog.new do
        "calls wait for a connection to the database: its pool (config/database.yml) must have one for each of the web server's " \
          "threads and, besides, for each of config.catenary.workers"
      end

      def look(threads)
        WARNING.add if pool&.num_waiting_in_queue.to_i > 0 && threads.any? { |thread| waits?(thread) }
      end

      private
        def pool
          ::ActiveRecord::Base.connection_pool if defined?(::ActiveRecord::Base)
        rescue StandardError
          nil # there is no database
        end

        def waits?(thread)
          thread.backtrace&.any? { |line| line.include?("connection_pool") }
        end
    end
  end
end
