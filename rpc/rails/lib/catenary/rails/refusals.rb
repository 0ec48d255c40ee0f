module Catenary
  module Rails
    # Logs refused calls: the first ten of a minute in full, the rest as a number, because anybody
    # can cause them.
    class Refusals
      PER_MINUTE = 10

      def initialize
        @mutex = Mutex.new
        @minute, @count = nil, 0
      end

      def log(problem, peer)
        minute = Clock.now.to_i / 60
        @mutex.synchronize do
          log_warning "refused #{@count - PER_MINUTE} further calls" if minute != @minute && @count > PER_MINUTE
          @minute, @count = minute, 0 if minute != @minute
          @count += 1
          log_warning "refused a call from #{peer}: #{problem}" if @count <= PER_MINUTE
        end
      end

      private
        def log_warning(text)
          ::Rails.logger&.warn("[catenary] #{text}")
        end
    end
  end
end
