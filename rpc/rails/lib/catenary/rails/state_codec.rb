require "active_job"
require "active_job/arguments"

module Catenary
  module Rails
    # Writes one value of an instance variable as text and reads it again: as a job's argument is, so that a record is looked
    # up again; else marshalled.
    module StateCodec
      extend self

      class Unkeepable < StandardError; end

      def encode(value)
        ["j", JSON.generate(ActiveJob::Arguments.serialize([value]))]
      rescue StandardError
        ["m", marshal(value)]
      end

      def decode(kind, text)
        case kind
        when "j" then ActiveJob::Arguments.deserialize(JSON.parse(text)).first
        when "m" then Marshal.load(text.unpack1("m0"))
        end
      end

      private
        # A relation would be marshalled as the records that it happens to find.
        def marshal(value)
          raise Unkeepable if defined?(ActiveRecord::Relation) && value.is_a?(ActiveRecord::Relation)
          [Marshal.dump(value)].pack("m0")
        rescue StandardError
          raise Unkeepable
        end
    end
  end
end
