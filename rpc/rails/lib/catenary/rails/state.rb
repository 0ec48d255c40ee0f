require "active_support/message_verifier"

module Catenary
  module Rails
    # The state of a connection or of a channel as a signed text, which catenary holds and cannot read.
    class State
      LIMIT = 64 * 1024 # bytes, of one channel or of the connection

      # Variables of Rails' own.
      def self.not_ours(object)
        object.is_a?(ActionCable::Channel::Base) ? Versions::CHANNEL_VARIABLES : Versions::CONNECTION_VARIABLES
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

      def of(object, warnings)
        object.is_a?(ActionCable::Channel::Base) ? of_channel(object, warnings) : of_connection(object, warnings)
      end

      # What was written. lenient: so much as there is of a state that was too long. Raises Lost.
      def read(text, lenient: false)
        state = verifier.verified(text.to_s) or raise Lost, "the state is missing, or signed with another secret"
        raise Lost, "the state was too long to be kept" if state["long"] && !lenient
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
        def of_connection(connection, warnings)
          identifiers = connection.identifiers.map { |identifier| :"@#{identifier}" }
          write connection, { "request_id" => connection.env["action_dispatch.request_id"] }, { connection => "self" }, identifiers, warnings
        end

        def of_channel(channel, warnings)
          own = %w[unconfirmed confirmed rejected timers].zip(State.flags(channel)).to_h
          write channel, own, { channel => "self", channel.connection => "connection" }, [], warnings
        end

        # essential: what is written even if all of it is too long, so that the callbacks of the end can run.
        def write(object, own, references, essential, warnings)
          references = references.compare_by_identity
          kept = variables(object).filter_map do |name|
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
          sign object, own, kept, essential, warnings
        end

        def variables(object)
          not_ours = State.not_ours(object)
          object.instance_variables.reject { |name| not_ours.key?(name) }
        end

        def sign(object, own, kept, essential, warnings)
          text = verifier.generate(own.merge("variables" => kept))
          return text if text.bytesize <= LIMIT
          warn_once "#{object.class}: its instance variables take more than #{LIMIT} bytes, " \
            "so that it cannot be rebuilt: the browser will have to reconnect then", warnings
          verifier.generate(own.merge("variables" => kept.select { |name,| essential.include?(name) }, "long" => true))
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
