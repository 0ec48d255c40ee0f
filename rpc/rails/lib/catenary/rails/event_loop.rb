module Catenary
  module Rails
    # Stands in for the event loop (and for the executor of 8.2): does at once what natively happens a moment later, and only
    # notes timers, since catenary ticks.
    class EventLoop
      Timer = Struct.new(:interval, :block) do
        def shutdown
          self.block = nil
        end
      end

      def post(task = nil, &block)
        (task || block).call
      end

      def timer(interval, &block)
        Timer.new(interval.to_f, block)
      end
    end
  end
end
