require "active_support/security_utils"
require "openssl"

module Catenary
  module Rails
    # Writes and reads the state of a connection or a channel: its instance variables as a signed
    # text, which catenary keeps and does not read. The signature also covers whose state it is.
    class State
      LIMIT = 64 * 1024 # bytes, of one channel or of the connection

      # Kinds of variables, besides those of StateCodec.
      SELF = "self"
      CONNECTION = "connection"
      UNSERIALIZABLE = "unserializable"

      class << self
        # Names of the instance variables that belong to Rails.
        def rails_variables(object)
          channel?(object) ? Versions::CHANNEL_VARIABLES : Versions::CONNECTION_VARIABLES
        end

        # Names of the variables without which a connection cannot be rebuilt.
        def identity(object)
          return [] if channel?(object)
          object.identifiers.map { |identifier| :"@#{identifier}" } << :@connection_identifier
        end

        # What Rails itself remembers of a subscription; nil for a connection.
        def flags(object)
          return unless channel?(object)
          [
            object.instance_variable_get(:@defer_subscription_confirmation_counter).value,
            object.instance_variable_get(:@subscription_confirmation_sent),
            object.instance_variable_get(:@reject_subscription),
            object.send(:active_periodic_timers).any?
          ]
        end

        def channel?(object)
          object.is_a?(ActionCable::Channel::Base)
        end
      end

      def initialize(secret)
        @secret = secret
        @mutex = Mutex.new
        @warned = {}
      end

      # Returns the state of the connection of that name, or of one of its channels. Adds to
      # warnings what is lost in a rebuild, each text once in this process.
      def write(object, connection, warnings)
        State.channel?(object) ? write_channel(object, connection, warnings) : write_connection(object, connection, warnings)
      end

      # Reads the state of the connection of that name, or of its channel with that identifier.
      # lenient: accepts the remains of a state that was too long. Raises Lost.
      def read(text, connection, identifier, lenient: false)
        state = verified(text.to_s, [connection, identifier])
        raise Lost, "the state is missing, another's, or signed with another secret" unless state
        raise Lost, "the state was longer than #{LIMIT} bytes" if state["long"] && !lenient
        state
      end

      private
        def write_connection(connection, name, warnings)
          own = { "request_id" => connection.env["action_dispatch.request_id"] }
          generate connection, own, { connection => SELF }, [name, nil], warnings
        end

        def write_channel(channel, connection, warnings)
          unconfirmed, confirmed, rejected, timers = State.flags(channel)
          own = { "unconfirmed" => unconfirmed, "confirmed" => confirmed, "rejected" => rejected, "timers" => timers }
          generate channel, own, { channel => SELF, channel.connection => CONNECTION }, [connection, channel.identifier], warnings
        end

        # own: what is written besides the variables. owner: whose state it is.
        def generate(object, own, references, owner, warnings)
          kept = variables(object, references.compare_by_identity, warnings)
          text = sign(own.merge("variables" => kept), owner)
          return text if text.bytesize <= LIMIT

          warn_once "#{object.class}: its instance variables take more than #{LIMIT} bytes: " \
            "it cannot be rebuilt, and then the browser must reconnect", warnings
          identity = State.identity(object) # enough to run the disconnect callbacks
          sign own.merge("variables" => kept.select { |name,| identity.include?(name) }, "long" => true), owner
        end

        # Returns name, kind and what decoding needs, for each.
        def variables(object, references, warnings)
          ignored = State.rails_variables(object)
          object.instance_variables.filter_map do |name|
            next if ignored.key?(name)
            value = object.instance_variable_get(name)
            # === and not is_a?, which would look up a PendingRecord
            warn_of_block object, name, warnings if Hash === value && value.default_proc
            [name, *(references[value] || encode(value))]
          rescue StateCodec::Unserializable
            unserializable object, name, value, warnings
          end
        end

        def encode(value)
          PendingRecord === value ? value.__encoded__ : StateCodec.encode(value)
        end

        def warn_of_block(object, name, warnings)
          warn_once "#{object.class}: #{name} (a Hash with a block) loses its block when the object is rebuilt", warnings
        end

        def unserializable(object, name, value, warnings)
          text = "#{object.class}: #{name} (a #{value.class}) cannot be serialized and is lost when the object is rebuilt"
          identity = State.identity(object).include?(name)
          warn_once identity ? "#{text}: the browser must reconnect then" : text, warnings
          [name, UNSERIALIZABLE] if identity
        end

        def sign(state, owner)
          data = [JSON.generate(state)].pack("m0")
          "#{data}--#{signature(data, owner)}"
        end

        def verified(text, owner)
          data, signature = text.split("--", 2)
          return unless signature && ActiveSupport::SecurityUtils.secure_compare(signature, signature(data, owner))
          JSON.parse(data.unpack1("m0"))
        end

        # Reuses one HMAC: setting it up costs several times as much as the digest.
        def signature(data, owner)
          @mutex.synchronize do
            @hmac ||= OpenSSL::HMAC.new(@secret.state_key, "SHA256")
            @hmac.reset
            @hmac << JSON.generate(owner) << "\n" << data
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
