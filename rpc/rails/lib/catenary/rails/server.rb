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

      # The last thing in handle_open.
      def add_connection(connection)
        @opened = true
        __getobj__.add_connection connection
      end

      def opened?
        @opened
      end
    end

    # Prepended to ActionCable::Server::Connections, below what the application overrides of the server: Rails pings and closes
    # the connections that it lists, which ours are not.
    module Unlisted
      def add_connection(connection)
        super unless Server === connection.send(:server)
      end
    end
  end
end
