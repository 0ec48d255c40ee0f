require "bigdecimal"
require "set"

module Catenary
  module Rails
    # Remembers what an object was when its state was last written, so as to see cheaply that the state still holds. What may
    # have changed inside counts as changed; of a record only its identity is written, so that it cannot.
    class Snapshot
      SIMPLE = [NilClass, TrueClass, FalseClass, Numeric, Symbol, String, Time, Date, ActiveSupport::TimeWithZone, ActiveSupport::Duration].freeze

      SMALL = 32 # elements of a collection that is compared

      # not_ours: names of variables that are no state. flags: what else is written of the object.
      def initialize(object, not_ours, flags)
        @not_ours, @flags = not_ours, flags
        @all = object.instance_variables
        @names = ours(@all)
        @values = @names.map { |name| copy(object.instance_variable_get(name)) }
        @pending = @values.any?(PendingRecord)
      end

      def holds?(object, flags)
        flags == @flags && same_names?(object.instance_variables) && same_values?(object)
      end

      private
        def ours(names)
          names.reject { |name| @not_ours.key?(name) }
        end

        # Rails adds some of its own when they are first needed.
        def same_names?(all)
          return true if all == @all
          return false unless ours(all) == @names
          @all = all
          true
        end

        def same_values?(object)
          i = @names.size
          nil while (i -= 1) >= 0 && same?(@values[i], object.instance_variable_get(@names[i]))
          i < 0
        end

        def copy(value)
          PendingRecord === value || !flat?(value) ? value : value.deep_dup
        end

        def same?(before, after)
          return same_record?(before, after) if @pending && PendingRecord === before
          case after
          when nil, true, false, Integer, Symbol then before.equal?(after)
          when String then before.instance_of?(after.class) && before == after
          else
            return before.equal?(after) if by_identity?(after)
            before.class == after.class && flat?(after) && before == after
          end
        end

        # What was pending may have been found, or given up for something else.
        def same_record?(before, after)
          PendingRecord === after ? before.equal?(after) : before.__found__?(after) && by_identity?(after)
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
