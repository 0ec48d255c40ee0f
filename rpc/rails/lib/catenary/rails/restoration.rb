module Catenary
  module Rails
    # Makes a connection and its channels what they were, from what catenary holds of them.
    class Restoration
      # lenient: for a call that must run even if something is gone.
      def initialize(live, request, state, warnings, lenient:)
        @live, @request, @state, @warnings, @lenient = live, request, state, warnings, lenient
      end

      # Raises Lost.
      def run
        lost = nil
        @live.work do
          restore_connection
          channels.each { |identifier, kept| restore_channel(identifier, kept) }
          @live.ledger.adopt @request["state"], channels.transform_values { |kept| kept["state"] }
        rescue Lost => error
          lost = error # outside of the executor, which would report it as the application's
        end
        raise lost if lost
      end

      private
        def channels
          @request.fetch("channels", nil) || {}
        end

        def restore_connection
          connection = @live.connection
          state = @state.read(@request["state"], lenient: @lenient)
          connection.env["action_dispatch.request_id"] = state["request_id"] if state["request_id"]
          @live.logger.tags.replace(@request["tags"] || [])
          @live.restore_open
          @state.apply(state, connection) do |name, error|
            raise Lost, "#{name} of #{connection.class} is gone: #{error.message}" if identifier?(connection, name) && !@lenient
            warn connection, name, error
          end
        end

        def identifier?(connection, name)
          connection.identifiers.any? { |identifier| name == "@#{identifier}" }
        end

        def restore_channel(identifier, kept)
          state = @state.read(kept["state"], lenient: @lenient)
          channel = build(identifier)
          channel.instance_variable_set(:@subscription_confirmation_sent, state["confirmed"])
          channel.instance_variable_set(:@reject_subscription, state["rejected"])
          channel.instance_variable_get(:@defer_subscription_confirmation_counter).value = state["unconfirmed"]
          @live.channels[identifier] = channel
          restore_streams channel, kept.fetch("streams", nil) || {}
          @state.apply(state, channel, @live.connection) { |name, error| warn channel, name, error }
          channel.send(:start_periodic_timers) if state["timers"]
        rescue Lost
          raise unless @lenient
        end

        # As ActionCable::Connection::Subscriptions#add does.
        def build(identifier)
          params = ActiveSupport::JSON.decode(identifier).with_indifferent_access
          channel = params[:channel].to_s.safe_constantize
          raise Lost, "there is no channel #{params[:channel].inspect} any more" unless channel && ActionCable::Channel::Base >= channel
          channel.new(@live.connection, identifier, params)
        end

        def restore_streams(channel, streams)
          streams.each do |stream, token|
            raise Lost, "the block for #{stream} of #{channel.class} is gone" if token && !@lenient
            channel.send(:streams)[stream] = @live.server.pubsub.adopt(channel.identifier, stream)
          end
        end

        def warn(object, name, error)
          @warnings << "#{object.class}: #{name} is lost: #{error.message}"
        end
    end
  end
end
