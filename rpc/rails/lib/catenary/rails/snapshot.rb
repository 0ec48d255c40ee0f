require "bigdecimal"
require "set"

module Catenary
  module Rails
    # Remembers what the objects of a connection were when their state was last written, so as to see cheaply that the state still
    # holds. What may have changed inside counts as changed; of a record only its identity is written, so that it cannot.
    class Snapshot
      SIMPLE = [NilClass, TrueClass, FalseClass, Numeric, Symbol, String, Time, Date, ActiveSupport::TimeWithZone, ActiveSupport::Duration].freeze

      SMALL = 32 # elements of a collection that is compared

      def initialize(live)
        @seen = look_at(live) { |value| flat?(value) ? value.deep_dup : value }
      end

      def holds?(live)
        now = look_at(live) { |value| value }
        now.size == @seen.size && now.all? { |object, values| (seen = @seen[object]) && same_all?(seen, values) }
      end

      private
        def look_at(live, &copy)
          seen = { live.connection => variables(live.connection, Versions::CONNECTION_VARIABLES, &copy) }.compare_by_identity
          live.channels.each_value do |channel|
            seen[channel] = variables(channel, Versions::CHANNEL_VARIABLES, &copy).concat(State.of_subscription(channel).values)
          end
          seen
        end

        # Names and values in turn.
        def variables(object, not_ours)
          (object.instance_variables - not_ours).each_with_object([]) { |name, list| list << name << yield(object.instance_variable_get(name)) }
        end

        def same_all?(seen, now)
          seen.size == now.size && seen.each_with_index.all? { |before, i| same?(before, now[i]) }
        end

        def same?(before, after)
          return before.equal?(after) if by_identity?(after)
          flat?(after) && before.class == after.class && before == after
        end

        def flat?(value)
          case value
          when *SIMPLE then true
          when Array, Set then value.size <= SMALL && value.all? { |element| simple?(element) }
          when Hash then value.size <= SMALL && value.all? { |key, element| simple?(key) && simple?(element) }
          end
        end

        def simple?(value)
          SIMPLE.any? { |type| type === value }
        end

        def by_identity?(value)
          value.is_a?(::ActionCable::Connection::Base) || value.is_a?(::ActionCable::Channel::Base) ||
            (value.is_a?(GlobalID::Identification) && !(value.respond_to?(:new_record?) && value.new_record?))
        end
    end
  end
end
