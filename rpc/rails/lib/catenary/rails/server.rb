require "delegate"

module Catenary
  module Rails
    # Stands in for ActionCable.server, for one connection and its channels.
    class Server < SimpleDelegator
      attr_reader :pubsub, :event_loop, :worker_pool
      alias_method :executor, :event_loop
      delegate :config, :logger, to: :__getobj__ # called often; faster than method_missing

      # cable: the ActionCable server. effects: those of the connection.
      def initialize(cable, effects, endpoint)
        super(cable)
        @pubsub = Pubsub.new(cable, effects, endpoint.process)
        @event_loop = EventLoop.new
        @worker_pool = WorkerPool.new(endpoint)
        @opened = false
      end

      # The last step of ActionCable's handle_open.
      def add_connection(connection)
        @opened = true
        __getobj__.add_connection connection
      end

      def opened?
        @opened
      end
    end
  end
end
