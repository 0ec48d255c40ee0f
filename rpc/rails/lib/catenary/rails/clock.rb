module Catenary
  module Rails
    # The monotonic clock, for timeouts and ages.
    module Clock
      module_function

      # Seconds since an arbitrary point in the past; changes of the system time do not affect it.
      def now
        Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end
    end
  end
end
