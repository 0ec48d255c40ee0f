module Catenary
  module Rails
    # Prepended to ActionCable::Channel::Base. Tells Pubsub which channel opens a stream, and
    # whether its payloads need the channel's code. Mirrors ActionCable::Channel::Streams.
    module ChannelStreams
      # The methods that deliver a payload natively. If one of them is overridden, the override has
      # to see every payload.
      DELIVERY = %i[
        transmit stream_handler default_stream_handler stream_transmitter worker_pool_stream_handler
      ].freeze

      def stream_from(broadcasting, callback = nil, coder: nil, &block)
        recorder = connection.pubsub
        return super unless Pubsub === recorder

        default_coder = coder.nil? || coder == ActiveSupport::JSON
        plain = callback.nil? && block.nil? && default_coder && ChannelStreams.native_delivery?(self)
        recorder.opening(self, plain: plain) { super }
      end

      def self.native_delivery?(channel)
        DELIVERY.all? { |name| Native.method?(channel, name) } && Native.method?(channel.connection, :transmit)
      end
    end
  end
end
