module Catenary
  module Rails
    # Prepended to ActionCable::Channel::Base: tells the recording pub/sub which channel opens a stream, and whether its
    # payloads need this channel's code. Mirrors ActionCable::Channel::Streams.
    module ChannelStreams
      # What handles a payload natively. If a channel redefines one of them, its code must see every payload.
      DELIVERY = %i[transmit stream_handler default_stream_handler stream_transmitter worker_pool_stream_handler].freeze

      def stream_from(broadcasting, callback = nil, coder: nil, &block)
        recorder = connection.pubsub
        return super unless Pubsub === recorder

        plain = callback.nil? && block.nil? && (coder.nil? || coder == ActiveSupport::JSON) && ChannelStreams.native_delivery?(self)
        recorder.opening(self, plain: plain) { super }
      end

      def self.native_delivery?(channel)
        DELIVERY.all? { |name| same_owner?(channel.class, ActionCable::Channel::Base, name) } &&
          same_owner?(channel.connection.class, ActionCable::Connection::Base, :transmit)
      end

      def self.same_owner?(own, base, name)
        own.instance_method(name).owner == base.instance_method(name).owner
      end
    end
  end
end
