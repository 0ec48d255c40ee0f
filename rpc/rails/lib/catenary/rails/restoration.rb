module Catenary
  module Rails
    # Rebuilds a connection and its channels from the state that catenary has.
    class Restoration
      # For a channel whose process was killed before it could hand over any state.
      UNWRITTEN = { "variables" => [], "confirmed" => true, "unconfirmed" => 0 }.freeze

      # request: the full call. lenient: for a call that must run even if something is lost.
      def initialize(live, request, state, warnings, lenient:)
        @live, @request, @state, @warnings, @lenient = live, request, state, warnings, lenient
        @lookups = Lookups.new(live)
      end

      # Raises Lost.
      def run
        lost = nil
        ::Rails.application.executor.wrap do
          restore_connection
          channels.each { |identifier, kept| restore_channel(identifier, kept) }
          @live.ledger.restored @request["state"], channels.transform_values { |kept| kept["state"] }
          @lookups.start
        rescue Lost => error
          lost = error # raised outside of the executor, which would report it as the application's
        end
        raise lost if lost
      end

      private
        def channels
          @request.fetch("channels", nil) || {}
        end

        def restore_connection
          connection = @live.connection
          state = read(Lookups::CONNECTION, @request)
          connection.env["action_dispatch.request_id"] = state["request_id"] if state["request_id"]
          @live.logger.tags.replace(@request["tags"] || [])
          @live.restore_open
          restore_variables connection, Lookups::CONNECTION, state
        end

        def restore_channel(identifier, kept)
          state = read(identifier, kept)
          channel = build(identifier)
          channel.instance_variable_set(:@subscription_confirmation_sent, state["confirmed"])
          channel.instance_variable_set(:@reject_subscription, state["rejected"])
          channel.instance_variable_get(:@defer_subscription_confirmation_counter).value = state["unconfirmed"]
          @live.channels[identifier] = channel
          restore_streams channel, kept.fetch("streams", nil) || {}
          restore_variables channel, identifier, state
          channel.send(:start_periodic_timers) if state["timers"]
        rescue Lost
          raise unless @lenient
        end

        def read(identifier, kept)
          return UNWRITTEN if @lenient && kept["state"].nil? && identifier
          @state.read(kept["state"], @live.name, identifier, lenient: @lenient)
        end

        # Mirrors ActionCable::Connection::Subscriptions#add.
        def build(identifier)
          params = ActiveSupport::JSON.decode(identifier).with_indifferent_access
          channel = params[:channel].to_s.safe_constantize
          raise Lost, "channel #{params[:channel].inspect} no longer exists" unless channel && ActionCable::Channel::Base >= channel
          channel.new(@live.connection, identifier, params)
        end

        def restore_streams(channel, streams)
          streams.each do |stream, token|
            raise Lost, "the block for #{stream} of #{channel.class} is gone" if token && !@lenient
            channel.send(:streams)[stream] = @live.server.pubsub.adopt(channel.identifier, stream)
          end
        end

        def restore_variables(object, identifier, state)
          state.fetch("variables").each do |name, *encoded|
            object.instance_variable_set(name, value(object, identifier, name, encoded))
          end
        end

        def value(object, identifier, name, encoded)
          case encoded.first
          when State::SELF then object
          when State::CONNECTION then @live.connection
          when State::UNSERIALIZABLE then lose(object, name, "it cannot be serialized")
          when StateCodec::RECORD then @lookups.add(identifier, object, name, encoded)
          else decode(object, name, encoded)
          end
        end

        def decode(object, name, encoded)
          StateCodec.decode(*encoded)
        rescue StandardError => error
          lose object, name, error.message
        end

        # Returns nil, or raises Lost for a variable that the connection needs.
        def lose(object, name, reason)
          text = "#{object.class}: #{name} is lost: #{reason}"
          raise Lost, text if State.identity(object).include?(name.to_sym) && !@lenient
          @warnings << text
          nil
        end
    end
  end
end
