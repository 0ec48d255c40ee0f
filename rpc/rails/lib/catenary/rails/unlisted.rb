module Catenary
  module Rails
    # Prepended to ActionCable::Server::Connections, below the application's overrides. Rails pings
    # and closes the connections in its list, so ours must not be in it.
    module Unlisted
      def add_connection(connection)
        super unless Server === connection.send(:server)
      end
    end
  end
end
