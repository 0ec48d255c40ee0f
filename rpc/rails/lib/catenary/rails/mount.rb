module Catenary
  module Rails
    # Prepended to ActionCable::Server::Base. Where the application mounts Action Cable, a handshake of catenary's arrives
    # after all of the application's middleware. Every other request is served natively.
    module Mount
      ARRIVAL = "catenary.arrival"

      def call(env)
        (arrival = env[ARRIVAL]) ? arrival.call(self, env) : super
      end

      # In development at every reload.
      def restart
        super
        Mount.endpoint&.links&.restarted
      end

      class << self
        attr_accessor :endpoint
      end

      # See Sync.
      def pubsub
        adapter = super
        adapter.is_a?(Sync::Broadcasting) ? adapter : adapter.extend(Sync::Broadcasting)
      end
    end
  end
end
