module Catenary
  module Rails
    # What catenary has read from a browser's token, for the identifiers that the application lets it set
    # (config.catenary.identify). By identifier a text, or {"gid" => Global ID} for a record.
    class Identities
      ENV_KEY = "catenary.identities"

      class Refused < StandardError; end

      # Raises Refused.
      def initialize(values, allowed:, identifiers:)
        @values = values
        unknown = values.keys - identifiers.map(&:to_s)
        forbidden = values.keys - Array(allowed).map(&:to_s)
        refuse unknown, "connections are not identified_by it" if unknown.any?
        refuse forbidden, "config.catenary.identify does not allow it" if forbidden.any?
      end

      def each
        @values.each { |name, value| yield name, value.is_a?(Hash) ? locate(value["gid"]) : value.to_s }
      end

      private
        def refuse(names, why)
          raise Refused, "a call wants to set #{names.join(", ")} of a connection: #{why}"
        end

        # nil if there is no such record; what counts as that, the application's controllers know.
        def locate(gid)
          GlobalID::Locator.locate(gid)
        rescue StandardError => error
          raise unless ActionDispatch::ExceptionWrapper.rescue_responses[error.class.name] == :not_found
        end
    end
  end
end
