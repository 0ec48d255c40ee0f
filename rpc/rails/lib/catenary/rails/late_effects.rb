module Catenary
  module Rails
    # Publishes the effects that no reply can carry, on the stream of the catenary node that has the connection, through the
    # application's own pub/sub.
    class LateEffects
      # These do not leave the process.
      LOCAL_ADAPTERS = %w[async inline test].freeze

      # Effects that came after the reply to the call seq.
      def publish(node, connection, seq, ops)
        deliver(node, { conn: connection, after: seq, ops: ops }.compact) or
          log :error, "effects on a connection after its command were lost: catenary does not listen to #{stream(node)}"
      end

      # Effects of the call seq, which is still running; from: how many came before them. Returns whether anybody listens.
      def publish_early(node, connection, seq, from, ops)
        deliver(node, conn: connection, seq: seq, from: from, ops: ops)
      end

      # Whether catenary can hear what the application broadcasts.
      def heard?
        !LOCAL_ADAPTERS.include?(ActionCable.server.config.cable["adapter"].to_s)
      end

      private
        def deliver(node, message)
          return false unless heard?
          # Redis says how many received it; other adapters say nothing of use.
          ActionCable.server.pubsub.broadcast(stream(node), JSON.generate(message)) != 0
        rescue => error
          log :error, "publishing to #{stream(node)} failed: #{error.message} (#{error.class})"
          false
        end

        def stream(node)
          "_catenary/#{node}"
        end

        def log(level, text)
          ::Rails.logger&.public_send(level, "[catenary] #{text}")
        end
    end
  end
end
