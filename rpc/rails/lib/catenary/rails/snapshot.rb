# frozen_string_literal: true

require "bigdecimal"
require "set"

module Catenary
  module Rails
    # A copy of an object's variables when its state was last written, to find out cheaply whether
    # the state is still current. A value that may have changed inside counts as changed. A record
    # does not: only its Global ID is written.
    class Snapshot
      SIMPLE = [NilClass, TrueClass, FalseClass, Numeric, Symbol, String, Time, Date, ActiveSupport::TimeWithZone, ActiveSupport::Duration].freeze

      SMALL = 32 # elements; larger collections are not compared

      # ignored: names of variables that are not part of the state. flags: see State.flags.
      def initialize(object, ignored, flags)
        @ignored, @flags = ignored, flags
        @all = object.instance_variables
        @names = without_ignored(@all)
        @values = @names.map { |name| copy(object.instance_variable_get(name)) }
        @pending = @values.any?(PendingRecord)
      end

      # Whether the object's state is certainly the same.
      def matches?(object, flags)
        flags == @flags && same_names?(object.instance_variables) && same_values?(object)
      end

      private
        def without_ignored(names)
          names.reject { |name| @ignored.key?(name) }
        end

        # Rails adds variables of its own at their first use.
        def same_names?(all)
          return true if all == @all
          return false unless without_ignored(all) == @names
          @all = all
          true
        end

        # A loop without blocks: this runs after every command.
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

        # The pending record may have been found, or replaced by the application.
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
          return !(value.respond_to?(:new_record?) && value.new_record?) if value.is_a?(GlobalID::Identification)
          value.is_a?(::ActionCable::Connection::Base) || value.is_a?(::ActionCable::Channel::Base)
        end
    end
  end
end
