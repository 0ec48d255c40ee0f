module Catenary
  module Rails
    # Warns of calls that wait for a database connection.
    class DatabaseWaits
      WARNING = ThrottledLog.new do
        "calls wait for a database connection: its pool (config/database.yml) needs one for each thread of the web server, " \
          "and one more for each of config.catenary.workers"
      end

      def check(threads)
        WARNING.add if pool&.num_waiting_in_queue.to_i > 0 && threads.any? { |thread| waits?(thread) }
      end

      private
        def pool
          ::ActiveRecord::Base.connection_pool if defined?(::ActiveRecord::Base)
        rescue StandardError
          nil # no database is configured
        end

        def waits?(thread)
          thread.backtrace&.any? { |line| line.include?("connection_pool") }
        end
    end
  end
end
