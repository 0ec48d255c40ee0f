require "delegate"

module Catenary
  module Rails
    # Stands in for ActionCable.server before one connection and its channels.
    class Server < SimpleDelegator
      attr_reader :pubsub, :event_loop, :worker_pool
      alias_method :executor, :event_loop

      def initialize(cable, ops, endpoint)
        super(cable)
        @pubsub = Pubsub.new(cable, ops, endpoint.process)
        @event_loop = EventLoop.new
        @worker_pool = WorkerPool.new(endpoint)
        @opened = false
      end

      # The last thing in handle_open. The real server's connections are those that it has to ping.
      def add_connection(_connection)
        @opened = true
      end

      def remove_connection(_connection)
      end

      def opened?
        @opened
      end
    end
  end
end
