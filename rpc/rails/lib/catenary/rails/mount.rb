module Catenary
  module Rails
    # Prepended to ActionCable::Server::Base. A handshake from catenary reaches the route where the
    # application mounts Action Cable, behind all of the application's middleware, and is handled by
    # the gem there. Rails serves every other request natively.
    module Mount
      HANDLER = "catenary.handler" # the key of a proc in the Rack environment, see Handshake

      # The connection keeps its environment, and must not keep the call with it.
      def call(env)
        handler = env.delete(HANDLER)
        handler ? handler.call(self, env) : super
      end

      # In development, Rails calls this at every reload.
      def restart
        super
        Mount.endpoint&.links&.action_cable_restarted
      end

      class << self
        attr_accessor :endpoint
      end

      # See Sync, Others and History.
      def pubsub
        adapter = super
        return adapter if adapter.is_a?(Sync::Broadcasting)
        History.extend_adapter adapter
        adapter.extend(Sync::Broadcasting, Others::Broadcasting)
      end
    end
  end
end
