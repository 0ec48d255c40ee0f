require "delegate"

module Catenary
  module Rails
    # Stands in for the pub/sub adapter of one connection: records what is subscribed to. All else, broadcasts above all, goes
    # to the application's adapter.
    class Pubsub < Delegator
      INTERNAL = "action_cable/" # ActionCable::Connection::InternalChannel
      OPENING = :catenary_opening # what this thread's subscribes are for

      Subscription = Struct.new(:identifier, :stream, :token)

      def initialize(cable, ops, process)
        @cable, @ops, @process = cable, ops, process
        @subscriptions = {}.compare_by_identity # by handler
        @handlers = {} # of streams with a token, by identifier and stream
      end

      def __getobj__
        @cable.pubsub
      end

      # Subscribes while the block runs are those of that channel. plain: whether the payload may go to the browser as it is.
      def opening(channel, plain:)
        outer = Thread.current[OPENING]
        Thread.current[OPENING] = [channel.identifier, plain ? nil : @process.to_s]
        yield
      ensure
        Thread.current[OPENING] = outer
      end

      def subscribe(stream, handler, success = nil)
        stream = text(stream)
        identifier, token = Thread.current[OPENING] || owner(handler)

        if identifier
          register Subscription.new(identifier, stream, token), handler
          @ops.record "sub", identifier, stream, token
        elsif stream.start_with?(INTERNAL)
          @ops.record "internal", stream
        else
          ::Rails.logger&.error "[catenary] cannot subscribe to #{stream}: only a channel can, since catenary delivers to channels"
          return
        end
        success&.call
      end

      def unsubscribe(stream, handler)
        return unless subscription = @subscriptions.delete(handler)

        of_stream = [subscription.identifier, subscription.stream]
        if handlers = @handlers[of_stream]
          handlers.delete(handler)
          @handlers.delete(of_stream) if handlers.empty?
        end
        @ops.record "unsub", *of_stream
      end

      # A plain stream that catenary already has, of a channel that was restored. Returns the handler to keep.
      def adopt(identifier, stream)
        Object.new.tap { |handler| register Subscription.new(identifier, stream, nil), handler }
      end

      # The handlers of a stream with a token.
      def handlers(identifier, stream)
        @handlers.fetch([identifier, stream], []).dup
      end

      # Whether there are blocks that only this process has.
      def blocks?
        @handlers.any?
      end

      private
        def text(stream)
          name = stream.to_s.dup.force_encoding(Encoding::UTF_8)
          name.valid_encoding? ? name : raise(ArgumentError, "catenary cannot stream from #{name.inspect}: the name is no UTF-8")
        end

        def register(subscription, handler)
          @subscriptions[handler] = subscription
          (@handlers[[subscription.identifier, subscription.stream]] ||= []) << handler if subscription.token
        end

        # Of a channel that subscribes without stream_from.
        def owner(handler)
          channel = handler.binding.receiver if handler.is_a?(Proc)
          [channel.identifier, @process.to_s] if channel.is_a?(ActionCable::Channel::Base)
        end
    end
  end
end
