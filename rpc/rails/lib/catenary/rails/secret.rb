require "openssl"

module Catenary
  module Rails
    # The secret that catenary and the application share, and the keys derived from it.
    class Secret
      def initialize(app)
        @app = app
      end

      def rpc_key
        @rpc_key ||= derive("catenary rpc v1")
      end

      def state_key
        @state_key ||= derive("catenary state v1")
      end

      def stamp_key
        derive("catenary stamp v1")
      end

      # The name of the secret's source, for messages.
      def source
        ENV["CATENARY_SECRET"].present? ? "CATENARY_SECRET" : "secret_key_base"
      end

      private
        def derive(purpose)
          OpenSSL::HMAC.digest("SHA256", ENV["CATENARY_SECRET"].presence || @app.secret_key_base, purpose)
        end
    end
  end
end
