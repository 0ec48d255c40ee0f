module Catenary
  module Rails
    # The identifiers of a connection that catenary has read from a browser's token. A value is
    # text, or {"gid" => Global ID} for a record. The application allows them one by one, with
    # config.catenary.identify.
    class Identities
      ENV_KEY = "catenary.identities"

      class Refused < StandardError; end

      # allowed: config.catenary.identify. identifiers: those that identified_by declares. Raises
      # Refused for a name that is not in both.
      def initialize(values, allowed:, identifiers:)
        @values = values
        unknown = values.keys - identifiers.map(&:to_s)
        forbidden = values.keys - Array(allowed).map(&:to_s)
        refuse unknown, "identified_by does not declare it" if unknown.any?
        refuse forbidden, "config.catenary.identify does not allow it" if forbidden.any?
      end

      # Yields each name with its value, which is nil for a record that does not exist.
      def each
        @values.each { |name, value| yield name, value.is_a?(Hash) ? locate(value["gid"]) : value.to_s }
      end

      private
        def refuse(names, reason)
          raise Refused, "a call must not set #{names.join(", ")} of a connection: #{reason}"
        end

        # "Not found" are the exceptions for which the application's controllers answer 404.
        def locate(gid)
          GlobalID::Locator.locate(gid)
        rescue StandardError => error
          raise unless ActionDispatch::ExceptionWrapper.rescue_responses[error.class.name] == :not_found
        end
    end
  end
end
