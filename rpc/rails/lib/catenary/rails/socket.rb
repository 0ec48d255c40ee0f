module Catenary
  module Rails
    # Stands in for ActionCable::Connection::WebSocket (Server::Socket::WebSocket in 8.2): the browser's socket is catenary's.
    class Socket
      # As Rails encodes them; every other frame is only text.
      SUBSCRIPTION_ANSWER = /\A\{"identifier":("(?:[^"\\]|\\.)*"),"type":"(confirm|reject)_subscription"\}\z/m

      # As Rails' beat encodes it.
      PING = /\A\{"type":"ping","message":\d+\}\z/

      attr_reader :protocol

      def initialize(ops, protocol)
        @ops, @protocol = ops, protocol.presence
        @alive, @accepted, @pinged = true, false, false
      end

      # The request is known to be a WebSocket's: catenary saw to that.
      def possible?
        true
      end

      def alive?
        @alive
      end

      # Whether Rails would have answered 101.
      def accepted?
        @accepted
      end

      # Natively this hijacks the connection.
      def rack_response
        @accepted = true
        [-1, {}, []]
      end

      def transmit(frame)
        return if !alive? || (@pinged && frame.match?(PING))

        if frame.end_with?(%(_subscription"})) && frame =~ SUBSCRIPTION_ANSWER
          @ops.record $2, ActiveSupport::JSON.decode($1), frame
        else
          @ops.record "send", frame
        end
      end

      def close(*)
        return unless alive?
        @alive = false
        @ops.record "close"
      end

      # Catenary pings the browser itself.
      def without_pings
        @pinged = true
        yield
      ensure
        @pinged = false
      end

      # The browser is gone.
      def gone
        @alive = false
      end

      # Rails ignores the commands of a browser that is gone. In the block it counts as alive; nothing is sent to it.
      def revived
        @alive = true
        yield
      ensure
        @alive = false
      end
    end
  end
end
