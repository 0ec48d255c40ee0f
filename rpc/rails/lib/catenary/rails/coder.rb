module Catenary
  module Rails
    # Reads and writes frames as Rails does, and notes the identifiers that the browser's frames name.
    class Coder
      attr_reader :identifiers

      def initialize
        @identifiers = []
      end

      def encode(frame)
        ActiveSupport::JSON.encode(frame)
      end

      def decode(text)
        ActiveSupport::JSON.decode(text).tap do |command|
          identifier = command["identifier"] if command.is_a?(Hash)
          @identifiers |= [identifier] if identifier.is_a?(String)
        end
      end

      def forget
        @identifiers = []
      end
    end
  end
end
