module Catenary
  module Rails
    # Reads and writes frames as Rails does. Notes which identifiers the browser's commands name,
    # and whether the browser performs actions.
    class Coder
      attr_reader :identifiers

      def initialize
        @identifiers, @acting = [], false
      end

      # Whether the browser has ever performed an action.
      def acting?
        @acting
      end

      def encode(frame)
        ActiveSupport::JSON.encode(frame)
      end

      def decode(text)
        ActiveSupport::JSON.decode(text).tap do |command|
          next unless command.is_a?(Hash)
          identifier = command["identifier"]
          @identifiers << identifier if identifier.is_a?(String) && !@identifiers.include?(identifier)
          @acting ||= command["command"] == "message"
        end
      end

      def clear_identifiers
        @identifiers.clear
      end
    end
  end
end
