require "active_job"
require "active_job/arguments"
require "bigdecimal"

module Catenary
  module Rails
    # Writes one value of an instance variable as text and reads it again: as a job's argument is, so that a record is looked
    # up again; else, or if it would come back as something else, marshalled.
    module StateCodec
      extend self

      class Unkeepable < StandardError; end

      def encode(value)
        return ["m", marshal(value)] unless same_as_argument?(value)
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
        # Not before Rails 7.1 a BigDecimal; never a text in another encoding, the default of a hash, or a class of one's own.
        def same_as_argument?(value)
          case value
          when BigDecimal then false
          when String then value.instance_of?(String) && [Encoding::UTF_8, Encoding::US_ASCII].include?(value.encoding)
          when Array then value.instance_of?(Array) && value.all? { |element| same_as_argument?(element) }
          when Hash then plain?(value) && value.each_value.all? { |element| same_as_argument?(element) }
          else true
          end
        end

        # A default that is a block cannot be marshalled either.
        def plain?(hash)
          hash.default.nil? && (hash.instance_of?(Hash) || hash.instance_of?(ActiveSupport::HashWithIndifferentAccess))
        end

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
