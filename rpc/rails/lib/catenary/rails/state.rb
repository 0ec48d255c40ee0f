require "active_support/security_utils"
require "openssl"

module Catenary
  module Rails
    # The state of a connection or of a channel as a signed text, which catenary holds and cannot read. What is signed is also whose
    # state it is.
    class State
      LIMIT = 64 * 1024 # bytes, of one channel or of the connection

      # Kinds of variables, besides those of StateCodec.
      SELF = "self"
      CONNECTION = "connection"
      UNKEEPABLE = "unkeepable"

      # Variables of Rails' own.
      def self.not_ours(object)
        object.is_a?(ActionCable::Channel::Base) ? Versions::CHANNEL_VARIABLES : Versions::CONNECTION_VARIABLES
      end

      # Variables without which a connection is not the one that it was.
      def self.identity(object)
        return [] if object.is_a?(ActionCable::Channel::Base)
        object.identifiers.map { |identifier| :"@#{identifier}" } << :@connection_identifier
      end

      # What Rails itself keeps of a subscription, besides the application's instance variables; nil of a connection.
      def self.flags(object)
        return unless object.is_a?(ActionCable::Channel::Base)
        [
          object.instance_variable_get(:@defer_subscription_confirmation_counter).value,
          object.instance_variable_get(:@subscription_confirmation_sent),
          object.instance_variable_get(:@reject_subscription),
          object.send(:active_periodic_timers).any?
        ]
      end

      def initialize(secret)
        @secret = secret
        @mutex = Mutex.new
        @warned = {}
      end

      # The state of an object, which is the connection of that name or a channel of it.
      def write(object, connection, warnings)
        channel = object.is_a?(ActionCable::Channel::Base)
        channel ? write_channel(object, connection, warnings) : write_connection(object, connection, warnings)
      end

      # What was written of the connection of that name, or of its channel with that identifier. lenient: so much as there is of a
      # state that was too long. Raises Lost.
      def read(text, connection, identifier, lenient: false)
        state = verified(text.to_s, [connection, identifier])
        raise Lost, "the state is missing, another's, or signed with another secret" unless state
        raise Lost, "the state was too long to be kept" if state["long"] && !lenient
        state
      end

      private
        def write_connection(connection, name, warnings)
          own = { "request_id" => connection.env["action_dispatch.request_id"] }
          generate connection, own, { connection => SELF }, [name, nil], warnings
        end

        def write_channel(channel, connection, warnings)
          own = %w[unconfirmed confirmed rejected timers].zip(State.flags(channel)).to_h
          generate channel, own, { channel => SELF, channel.connection => CONNECTION }, [connection, channel.identifier], warnings
        end

        # own: what is written besides its variables. of: whose state it is.
        def generate(object, own, references, of, warnings)
          kept = variables(object, references.compare_by_identity, warnings)
          text = sign(own.merge("variables" => kept), of)
          return text if text.bytesize <= LIMIT

          warn_once "#{object.class}: its instance variables take more than #{LIMIT} bytes, " \
            "so that it cannot be rebuilt: the browser will have to reconnect then", warnings
          identity = State.identity(object) # so that the callbacks of the end can run
          sign own.merge("variables" => kept.select { |name,| identity.include?(name) }, "long" => true), of
        end

        # Name and kind of each, and what is needed to read it again.
        def variables(object, references, warnings)
          not_ours = State.not_ours(object)
          object.instance_variables.filter_map do |name|
            next if not_ours.key?(name)
            value = object.instance_variable_get(name)
            without_block object, name, warnings if Hash === value && value.default_proc # is_a? is a use
            [name, *(references[value] || encode(value))]
          rescue StateCodec::Unkeepable
            unkeepable object, name, value, warnings
          end
        end

        def encode(value)
          PendingRecord === value ? value.__written__ : StateCodec.encode(value)
        end

        def without_block(object, name, warnings)
          warn_once "#{object.class}: #{name} (a Hash with a block) comes back without its block when the object must be rebuilt", warnings
        end

        def unkeepable(object, name, value, warnings)
          what = "#{object.class}: #{name} (a #{value.class}) cannot be kept between commands when the object must be rebuilt"
          identity = State.identity(object).include?(name)
          warn_once identity ? "#{what}: the browser will have to reconnect then" : what, warnings
          [name, UNKEEPABLE] if identity
        end

        def sign(state, of)
          data = [JSON.generate(state)].pack("m0")
          "#{data}--#{signature(data, of)}"
        end

        def verified(text, of)
          data, signature = text.split("--", 2)
          return unless signature && ActiveSupport::SecurityUtils.secure_compare(signature, signature(data, of))
          JSON.parse(data.unpack1("m0"))
        end

        # Setting up an HMAC takes OpenSSL several times as long as the digest.
        def signature(data, of)
          @mutex.synchronize do
            @hmac ||= OpenSSL::HMAC.new(@secret.state_key, "SHA256")
            @hmac.reset
            @hmac << JSON.generate(of) << "\n" << data
            @hmac.hexdigest
          end
        end

        def warn_once(text, warnings)
          @mutex.synchronize do
            next if @warned.key?(text) || @warned.size > 1000
            @warned[text] = true
            warnings << text
          end
        end
    end
  end
end
