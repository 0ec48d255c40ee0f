# frozen_string_literal: true

module Catenary
  module Rails
    # Stands in for ActionCable::Connection::WebSocket (Server::Socket::WebSocket in Rails 8.2).
    # Records what Rails writes as effects: catenary owns the browser's socket.
    class Socket
      # As Rails encodes it. Every other frame is passed on as text.
      SUBSCRIPTION_ANSWER = /\A\{"identifier":("(?:[^"\\]|\\.)*"),"type":"(confirm|reject)_subscription"\}\z/m

      # As Rails' Connection#beat encodes it.
      PING = /\A\{"type":"ping","message":\d+\}\z/

      attr_reader :protocol

      # protocol: the negotiated sub-protocol, or "".
      def initialize(effects, protocol)
        @effects, @protocol = effects, protocol.presence
        @alive, @accepted, @without_pings = true, false, false
      end

      # Whether the request is a WebSocket handshake. catenary has checked that.
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

      # Natively this hijacks the TCP connection.
      def rack_response
        @accepted = true
        [-1, {}, []]
      end

      def transmit(frame)
        return if !alive? || (@without_pings && frame.match?(PING))

        if frame.end_with?(%(_subscription"})) && frame =~ SUBSCRIPTION_ANSWER
          @effects.record $2, JSON.parse($1), frame
        else
          @effects.record "send", frame
        end
      end

      def close(*)
        return unless alive?
        @alive = false
        @effects.record "close"
      end

      # Drops pings that the block transmits: catenary pings the browser itself.
      def without_pings
        @without_pings = true
        yield
      ensure
        @without_pings = false
      end

      # The browser has disconnected.
      def disconnected
        @alive = false
      end

      # Counts as alive while the block runs, because Rails ignores commands of a browser that has
      # disconnected. Nothing is sent to it.
      def treated_as_alive
        @alive = true
        yield
      ensure
        @alive = false
      end
    end
  end
end
