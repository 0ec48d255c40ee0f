module Catenary
  module Rails
    # Logs refused calls: the first ones of a minute in full, the others as a number, since anybody may cause them.
    class Refusals
      PER_MINUTE = 10

      def initialize
        @mutex = Mutex.new
        @minute, @count = nil, 0
      end

      def log(problem, peer)
        minute = Clock.now.to_i / 60
        @mutex.synchronize do
          warn "#{@count - PER_MINUTE} further calls were refused" if minute != @minute && @count > PER_MINUTE
          @minute, @count = minute, 0 if minute != @minute
          @count += 1
          warn "refused a call from #{peer}: #{problem}" if @count <= PER_MINUTE
        end
      end

      private
        def warn(text)
          ::Rails.logger&.warn("[catenary] #{text}")
        end
    end
  end
end
