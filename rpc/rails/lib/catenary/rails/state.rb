require "active_support/message_verifier"

module Catenary
  module Rails
    # The state of a connection or of a channel as a signed text, which catenary holds and cannot read.
    class State
      LIMIT = 64 * 1024 # bytes, of one channel or of the connection

      def initialize(secret)
        @secret = secret
        @mutex = Mutex.new
        @warned = {}
      end

      def of_connection(live, warnings)
        connection = live.connection
        write connection, { "request_id" => connection.env["action_dispatch.request_id"] }, { connection => "self" },
          variables(connection, Versions::CONNECTION_VARIABLES), warnings
      end

      # What Rails itself keeps of a subscription, besides the application's instance variables.
      def self.of_subscription(channel)
        {
          "unconfirmed" => channel.instance_variable_get(:@defer_subscription_confirmation_counter).value,
          "confirmed" => channel.instance_variable_get(:@subscription_confirmation_sent),
          "rejected" => channel.instance_variable_get(:@reject_subscription),
          "timers" => channel.send(:active_periodic_timers).any?
        }.freeze
      end

      def of_channel(channel, warnings)
        write channel, State.of_subscription(channel), { channel => "self", channel.connection => "connection" },
          variables(channel, Versions::CHANNEL_VARIABLES), warnings
      end

      # What was written. Raises Lost.
      def read(text)
        state = verifier.verified(text.to_s) or raise Lost, "the state is missing, or signed with another secret"
        raise Lost, "the state was too long to be kept" if state["long"]
        state
      end

      # Sets the variables that were written. The block gets the name and the error of each that cannot be read again.
      def apply(state, object, connection = nil)
        state.fetch("variables").each do |name, kind, text|
          value = case kind
          when "self" then object
          when "connection" then connection
          else StateCodec.decode(kind, text)
          end
          object.instance_variable_set(name, value)
        rescue StandardError => error
          object.instance_variable_set(name, nil)
          yield name, error
        end
      end

      private
        def variables(object, not_ours)
          object.instance_variables - not_ours
        end

        def write(object, own, references, names, warnings)
          references = references.compare_by_identity
          kept = names.filter_map do |name|
            value = object.instance_variable_get(name)
            if reference = references[value]
              [name, reference]
            else
              [name, *StateCodec.encode(value)]
            end
          rescue StateCodec::Unkeepable
            warn_once "#{object.class}: #{name} (a #{value.class}) cannot be kept between commands when the object must be rebuilt", warnings
            nil
          end
          sign object, own.merge("variables" => kept), warnings
        end

        def sign(object, state, warnings)
          text = verifier.generate(state)
          return text if text.bytesize <= LIMIT
          warn_once "#{object.class}: its instance variables take more than #{LIMIT} bytes, " \
            "so that it cannot be rebuilt: the browser will have to reconnect then", warnings
          verifier.generate({ "long" => true })
        end

        def verifier
          @verifier ||= ActiveSupport::MessageVerifier.new(@secret.state_key, digest: "SHA256", serializer: JSON)
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
