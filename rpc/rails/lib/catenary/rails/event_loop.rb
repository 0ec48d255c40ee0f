module Catenary
  module Rails
    # Stands in for ActionCable::Connection::StreamEventLoop, and for the server's executor in Rails
    # 8.2. Runs posted tasks at once. Only keeps timers: catenary schedules their ticks.
    class EventLoop
      # interval: in seconds.
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
