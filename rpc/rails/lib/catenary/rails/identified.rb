module Catenary
  module Rails
    # Extends a connection of the application that catenary has identified, and welcomed: its token takes the place of connect.
    # disconnect, which undoes what connect did, does not run either.
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
