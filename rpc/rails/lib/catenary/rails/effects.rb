# frozen_string_literal: true

module Catenary
  module Rails
    # The effects on one connection, in order (docs/rpc.md, "Effects"). During a call they are
    # collected for its result, or over a link for the next tick of Watch; Sync flushes them before
    # the command broadcasts. After a call each one is written at once. Without a link, effects
    # after the call are lost.
    class Effects
      COLLECTED_LIMIT = 1024 * 1024 # bytes; more are written at once

      LATE = ThrottledLog.new do |count|
        "lost #{count} effects that threads recorded after their command: without a link they cannot reach catenary"
      end

      # touched: the identifiers of the subscriptions that the call's effects are for.
      attr_reader :connection, :touched

      # connection: catenary's name of it.
      def initialize(connection)
        @connection = connection
        @mutex = Mutex.new
        @open = false # true from the first call until the connection closes
        @touched = []
      end

      # Starts a call: the link's call of that number, or a POST if link is nil.
      def begin(link, number)
        @mutex.synchronize do
          @open, @link, @number = true, link, number
          @collected, @bytes, @failed = [], 0, false
          @touched.clear
        end
      end

      def record(*effect)
        @mutex.synchronize do
          next unless @open # natively, too, nothing reaches a closed socket
          if @collected
            touch effect
            collect effect
          else
            write_late effect
          end
        end
      end

      # Reports an event of a channel; unlike record, also while a closed connection's callbacks run.
      def report(identifier, channel, event)
        @mutex.synchronize do
          if @collected
            collect ["channel", identifier, channel.to_s, event]
          elsif @open
            write_late ["channel", identifier, channel.to_s, event]
          end
        end
      end

      # Writes the effects collected for a call that is still running.
      def flush
        @mutex.synchronize { write_collected if @collected && @link }
      end

      # Waits until catenary has applied all effects, at most until the deadline.
      def sync(link, deadline)
        flush
        link.sync(@connection, deadline)
      end

      # Whether an effect of this call could not be written.
      def failed?
        @failed
      end

      # Ends the call. Yields the effects to put into its result, while no later one can be written.
      def finish
        @mutex.synchronize do
          collected, @collected = @collected || [], nil
          yield collected
        end
      end

      # Yields when the result of the last call has been written.
      def after_result
        @mutex.synchronize { yield }
      end

      # The connection is closed: nothing is recorded from now on.
      def close
        @mutex.synchronize { @open = false }
      end

      private
        def touch(effect)
          kind, identifier = effect
          return if kind == "send" || kind == "internal" || identifier.nil?
          @touched << identifier unless @touched.include?(identifier)
        end

        def collect(effect)
          @collected << effect
          return unless @link
          @bytes += effect.last.to_s.bytesize
          write_collected if @bytes > COLLECTED_LIMIT
          Sync.recorded(self, @link)
        end

        def write_collected
          return if @collected.empty?
          @failed = true unless @link.write({ call: @number, ops: @collected })
          @collected, @bytes = [], 0
        end

        def write_late(effect)
          return LATE.add unless @link
          @link = @link.current
          @link.write({ conn: @connection, ops: [effect] })
          Sync.recorded(self, @link)
        end
    end
  end
end
