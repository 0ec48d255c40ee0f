module Catenary
  module Rails
    # Counts an event and logs a warning about it at most once a minute.
    class ThrottledLog
      INTERVAL = 60 # seconds

      # The block returns the warning, given the number of events since the last one.
      def initialize(&text)
        @text = text
        @mutex = Mutex.new
        @count, @due = 0, 0
      end

      def add
        @mutex.synchronize do
          @count += 1
          now = Clock.now
          next if now < @due
          ::Rails.logger&.warn "[catenary] #{@text.call(@count)}"
          @count, @due = 0, now + INTERVAL
        end
      end
    end
  end
end
