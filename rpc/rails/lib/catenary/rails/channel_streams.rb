module Catenary
  module Rails
    # Prepended to ActionCable::Channel::Base: tells the recording pub/sub which channel opens a stream, and whether its
    # payloads need this channel's code. Mirrors ActionCable::Channel::Streams.
    module ChannelStreams
      # What handles a payload natively. If somebody redefines one of them, that code must see every payload.
      DELIVERY = %i[transmit stream_handler default_stream_handler stream_transmitter worker_pool_stream_handler].freeze

      def stream_from(broadcasting, callback = nil, coder: nil, &block)
        recorder = connection.pubsub
        return super unless Pubsub === recorder

        plain = callback.nil? && block.nil? && (coder.nil? || coder == ActiveSupport::JSON) && ChannelStreams.native_delivery?(self)
        recorder.opening(self, plain: plain) { super }
      end

      def self.native_delivery?(channel)
        DELIVERY.all? { |name| Native.method?(channel, name) } && Native.method?(channel.connection, :transmit)
      end
    end
  end
end
