module Catenary
  module Rails
    # Extends a connection that catenary has identified from a token and already welcomed. Sets the
    # identifiers where the application's connect would; neither connect nor disconnect runs.
    module Identified
      def connect
        env.fetch(Identities::ENV_KEY).each do |name, value|
          reject_unauthorized_connection if value.nil?
          public_send "#{name}=", value
        end
      end

      def disconnect
      end

      private
        def send_welcome_message
        end
    end
  end
end
