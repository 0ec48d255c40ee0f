module Catenary
  module Rails
    # Stands in a variable of a rebuilt object for a record, or for a collection with records, which is looked up when it is used.
    class PendingRecord < BasicObject
      # written: by StateCodec.
      def initialize(lookups, object, name, written)
        @lookups, @object, @name, @written = lookups, object, name, written
        @found = false
      end

      # What it stands for, which takes its place in the variable. Does not return if it is lost.
      def __record__
        return @record if @found
        @record = @lookups.find(@object, @name, @written)
        @found = true
        @object.instance_variable_set(@name, @record) if __wanted__?
        @record
      end

      # Whether it stands in the variable: the application may have put something else there.
      def __wanted__?
        equal?(@object.instance_variable_get(@name))
      end

      # Whether it has been found, and is that one.
      def __found__?(record)
        @found && @record.equal?(record)
      end

      # For the state.
      def __written__
        @written
      end

      def !
        !__record__
      end

      def ==(other)
        __record__ == other
      end

      def !=(other)
        __record__ != other
      end

      private
        ruby2_keywords def method_missing(name, *arguments, &block)
          __record__.public_send(name, *arguments, &block)
        end
    end
  end
end
