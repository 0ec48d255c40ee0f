module Catenary
  module Rails
    # Stands in an instance variable of a rebuilt object for a record, or for a collection with
    # records. The record is looked up at its first use.
    class PendingRecord < BasicObject
      # encoded: by StateCodec.
      def initialize(lookups, object, name, encoded)
        @lookups, @object, @name, @encoded = lookups, object, name, encoded
        @found = false
      end

      # Looks up the record and puts it into the variable. Does not return if it is lost.
      def __record__
        return @record if @found
        @record = @lookups.find(@object, @name, @encoded)
        @found = true
        @object.instance_variable_set(@name, @record) if __in_place__?
        @record
      end

      # Whether the variable still contains this object: the application may have assigned another.
      def __in_place__?
        equal?(@object.instance_variable_get(@name))
      end

      # Whether the lookup has returned that record.
      def __found__?(record)
        @found && @record.equal?(record)
      end

      # For the state, which thus needs no lookup.
      def __encoded__
        @encoded
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
