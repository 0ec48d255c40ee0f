module Catenary
  module Rails
    # What waiting and ageing are measured by.
    module Clock
      module_function

      # Seconds since some moment, whatever happens to the time of day.
      def now
        Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end
    end
  end
end
