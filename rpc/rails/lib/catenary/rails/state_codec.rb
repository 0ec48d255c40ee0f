require "active_job"
require "active_job/arguments"
require "bigdecimal"

module Catenary
  module Rails
    # Serializes the value of an instance variable. Uses Active Job's argument serializers where
    # they return an equal value; then a record is looked up again. Marshals everything else.
    module StateCodec
      extend self

      # Raised by encode for a value that can be neither serialized nor marshalled.
      class Unserializable < StandardError; end

      # Raised by decode if a record was not found, or is not the one that was encoded.
      class Changed < StandardError; end

      RECORD = "r" # kind of a value that is or contains a record
      ENCODINGS = [Encoding::UTF_8, Encoding::US_ASCII].freeze # of Strings that JSON keeps

      # Returns the kind, the text, and what else decode needs.
      def encode(value)
        return ["j", JSON.generate([value])] if itself_as_argument?(value)
        return ["m", marshal(value)] unless same_as_argument?(value)
        text = JSON.generate(ActiveJob::Arguments.serialize([value]))
        records = records_of(value)
        records.empty? ? ["j", text] : [RECORD, text, records.map { |record| created_at(record) }]
      rescue StandardError
        ["m", marshal(value)]
      end

      def decode(kind, text, created = nil)
        case kind
        when "j", RECORD
          value = ActiveJob::Arguments.deserialize(JSON.parse(text)).first
          compare created, value if created
          value
        when "m"
          Marshal.load(text.unpack1("m0"))
        end
      end

      private
        # Whether Active Job would return the value itself. Most variables are like this.
        def itself_as_argument?(value)
          case value
          when String then json?(value)
          when Integer, nil, true, false then true
          end
        end

        def json?(string)
          string.instance_of?(String) && ENCODINGS.include?(string.encoding)
        end

        # Active Job loses a BigDecimal (before Rails 7.1), an encoding other than UTF-8, the
        # default of a Hash, and subclasses.
        def same_as_argument?(value)
          case value
          when BigDecimal then false
          when String then json?(value)
          when Array then value.instance_of?(Array) && value.all? { |element| same_as_argument?(element) }
          when Hash then plain?(value) && value.each_value.all? { |element| same_as_argument?(element) }
          else true
          end
        end

        # A default block is ignored: it cannot be marshalled either.
        def plain?(hash)
          hash.default.nil? && (hash.instance_of?(Hash) || hash.instance_of?(ActiveSupport::HashWithIndifferentAccess))
        end

        def records_of(value)
          case value
          when GlobalID::Identification then [value]
          when Array then value.flat_map { |element| records_of(element) }
          when Hash then value.each_value.flat_map { |element| records_of(element) }
          else []
          end
        end

        # In milliseconds, which every database stores; nil if the record has none.
        def created_at(record)
          time = record.created_at if record.respond_to?(:created_at)
          time.respond_to?(:usec) ? time.to_i * 1000 + time.usec / 1000 : time&.to_s
        end

        # Another tenant may have another record with the same id. A custom locator may return nil.
        def compare(created, value)
          found = records_of(value).map { |record| created_at(record) }
          raise Changed, "a record was not found" unless found.size == created.size
          raise Changed, "its created_at has changed" unless created.zip(found).all? { |before, now| before.nil? || before == now }
        end

        # A relation would be marshalled as the records that it finds now.
        def marshal(value)
          raise Unserializable if defined?(ActiveRecord::Relation) && value.is_a?(ActiveRecord::Relation)
          [Marshal.dump(value)].pack("m0")
        rescue StandardError
          raise Unserializable
        end
    end
  end
end
