require "delegate"

module Catenary
  module Rails
    # Stands in for the pub/sub adapter, for one connection. Records subscriptions as effects.
    # Delegates everything else, broadcasts above all, to the application's adapter.
    class Pubsub < Delegator
      INTERNAL = "action_cable/" # prefix of streams of ActionCable::Connection::InternalChannel

      # Thread-local: the identifier and the token for streams that are being opened.
      OPENING = :catenary_opening

      Subscription = Struct.new(:identifier, :stream, :token)

      # process: the ProcessName, which is the token of streams that need this process.
      def initialize(cable, effects, process)
        @cable, @effects, @process = cable, effects, process
        @subscriptions = {}.compare_by_identity # by handler
        @handlers = {} # of streams with a token, by identifier and stream
      end

      def __getobj__
        @cable.pubsub
      end

      # Attributes subscriptions to the channel while the block runs. plain: whether payloads may go
      # to the browser unchanged.
      def opening(channel, plain:)
        outer = Thread.current[OPENING]
        Thread.current[OPENING] = [channel.identifier, plain ? nil : @process.to_s]
        yield
      ensure
        Thread.current[OPENING] = outer
      end

      # Raises ArgumentError if the stream's name is not valid UTF-8.
      def subscribe(stream, handler, success = nil)
        stream = utf8(stream)
        identifier, token = Thread.current[OPENING] || owner(handler)

        if identifier
          register Subscription.new(identifier, stream, token), handler
          @effects.record "sub", identifier, stream, token
        elsif stream.start_with?(INTERNAL)
          @effects.record "internal", stream
        else
          ::Rails.logger&.error "[catenary] cannot subscribe to #{stream}: the subscriber is not a channel"
          return
        end
        success&.call
      end

      def unsubscribe(stream, handler)
        return unless subscription = @subscriptions.delete(handler)

        key = [subscription.identifier, subscription.stream]
        if handlers = @handlers[key]
          handlers.delete(handler)
          @handlers.delete(key) if handlers.empty?
        end
        @effects.record "unsub", *key
      end

      # Reports what has happened to a channel (docs/rpc.md, "Effects").
      def report(channel, event)
        @effects.report channel.identifier, channel.class.name, event
      end

      # Registers a plain stream of a restored channel, which catenary already has. Returns the
      # handler that stands for it.
      def adopt(identifier, stream)
        Object.new.tap { |handler| register Subscription.new(identifier, stream, nil), handler }
      end

      # The handlers of a stream with a token; none if the stream was stopped.
      def handlers(identifier, stream)
        @handlers.fetch([identifier, stream], []).dup
      end

      # Whether there are blocks, which only this process can run.
      def blocks?
        @handlers.any?
      end

      private
        def utf8(stream)
          name = stream.to_s.dup.force_encoding(Encoding::UTF_8)
          name.valid_encoding? ? name : raise(ArgumentError, "cannot stream from #{name.inspect}: catenary needs names in UTF-8")
        end

        def register(subscription, handler)
          @subscriptions[handler] = subscription
          (@handlers[[subscription.identifier, subscription.stream]] ||= []) << handler if subscription.token
        end

        # For a channel that subscribes without stream_from.
        def owner(handler)
          channel = handler.binding.receiver if handler.is_a?(Proc)
          [channel.identifier, @process.to_s] if channel.is_a?(ActionCable::Channel::Base)
        end
    end
  end
end
