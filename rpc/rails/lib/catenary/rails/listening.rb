module Catenary
  module Rails
    # What a node hears through this process (docs/rpc.md, "Broadcasts"): the streams that it has asked for, by way of the
    # application's own pub/sub adapter. A thread of its own speaks with the adapter, which may block, and writes what it hears, so
    # that neither the reader of the link nor the adapter has to wait.
    class Listening
      LIMIT = 16 * 1024 * 1024 # bytes heard and not yet written, beyond which what comes is missed

      # What the adapter is given as the callback of a stream.
      Ear = Struct.new(:listening, :stream, :adapter, :wanted, :live, :owed) do
        def call(message)
          listening.heard(stream, message)
        end

        def eql?(other)
          equal?(other)
        end
        alias_method :==, :eql?

        def hash
          object_id.hash
        end
      end

      # Rails' own adapters hand messages to a pool of threads, which may bring them out of order. Ours need no pool. Prepended to
      # what of them does so.
      module InOrder
        def invoke_callback(callback, message)
          callback.is_a?(Ear) ? callback.call(message) : super
        end

        def self.in_all_adapters
          map = ActionCable::SubscriptionAdapter::SubscriberMap
          [map, *map.descendants].each do |type|
            type.prepend self if type.instance_methods(false).include?(:invoke_callback) && !type.ancestors.take_while { |one| one != type }.include?(self)
          end
        end
      end

      THREAD = :catenary_listening

      # Whether this thread is one that listens.
      def self.current?
        Thread.current.thread_variable_get(THREAD)
      end

      # Whether broadcasts stay in the process that makes them.
      def self.local?
        ActionCable.server.config.pubsub_adapter <= ActionCable::SubscriptionAdapter::Inline
      rescue StandardError, LoadError
        false # the adapter's gem is missing, as Rails says when it is used
      end

      def initialize(link)
        @link = link
        @mutex = Mutex.new
        @todo = Queue.new
        @ears, @bytes, @missed, @reopening, @closed = {}, 0, false, 0, false
      end

      # From the reader of the link.
      def listen(streams)
        start
        streams.each { |stream| @todo << [:open, stream] }
      end

      def unlisten(streams)
        streams.each { |stream| @todo << [:shut, stream] }
      end

      def publish(stream, message)
        start
        @todo << [:say, stream, message]
      end

      # From any thread of the adapter's.
      def heard(stream, message)
        @mutex.synchronize do
          next @missed = true if @bytes + message.bytesize > LIMIT
          @bytes += message.bytesize
          @todo << [:pass_on, stream, message]
        end
      end

      # The application's Action Cable has been restarted, and its adapter with it.
      def restarted
        @mutex.synchronize { @reopening += 1 }
        @todo << [:open_again]
      end

      # Whether all is heard again after that.
      def reopened?
        @reopening == 0
      end

      def any?
        @ears.any?
      end

      # Whether all that was heard has been written.
      def quiet?
        @bytes == 0
      end

      # The link is over.
      def close
        @todo << [:stop]
      end

      private
        def start
          @thread ||= Thread.new do
            Thread.current.name = "catenary listening"
            Thread.current.thread_variable_set THREAD, true
            run
          end
        end

        def run
          loop do
            work, *arguments = @todo.pop
            break if work == :stop
            send work, *arguments
          rescue StandardError => error
            ::Rails.logger&.error "[catenary] broadcasts: #{error.message} (#{error.class})"
            @link.write({ missed: "#{error.message} (#{error.class})" })
          end
          finish
        end

        # Who has just become live has left word; who will forgets itself.
        def finish
          @mutex.synchronize { @closed = true }
          @todo.pop.then { |work, ear| ear.live = true if work == :opened } until @todo.empty?
          @ears.each_value { |ear| forget ear if ear.live }
        end

        def open(stream)
          ear = @ears[stream] ||= subscribe(stream, 0)
          ear.wanted = true
          ear.live ? acknowledge(stream) : ear.owed += 1
        end

        def subscribe(stream, owed)
          ear = Ear.new(self, stream, nil, true, false, owed)
          in_application do
            ear.adapter = ActionCable.server.pubsub
            InOrder.in_all_adapters
            ear.adapter.subscribe(stream, ear, -> { live ear })
          end
          ear
        end

        # From any thread of the adapter's.
        def live(ear)
          too_late = @mutex.synchronize do
            @todo << [:opened, ear] unless @closed
            @closed
          end
          forget ear if too_late
        end

        def opened(ear)
          return unless @ears[ear.stream].equal?(ear) # or the adapter has been restarted
          ear.live = true
          reopened if @ears.each_value.all?(&:live)
          ear.owed.times { acknowledge(ear.stream) }
          ear.owed = 0
          forget @ears.delete(ear.stream) unless ear.wanted
        end

        def acknowledge(stream)
          @link.write({ listening: stream })
        end

        # One that is not live yet is given up when it is.
        def shut(stream)
          ear = @ears[stream] or return
          ear.wanted = false
          forget @ears.delete(stream) if ear.live
        end

        def forget(ear)
          in_application { ear.adapter.unsubscribe(ear.stream, ear) }
        end

        # Of what was broadcast in between, nobody has heard.
        def open_again
          return reopened if @ears.empty?
          before, @ears = @ears, {}
          before.each { |stream, ear| @ears[stream] = subscribe(stream, ear.owed) if ear.wanted }
          @link.write({ missed: "Action Cable has been restarted" }) unless Listening.local?
        end

        def reopened
          @mutex.synchronize { @reopening = 0 } if @reopening > 0
        end

        def say(stream, message)
          in_application { ActionCable.server.pubsub.broadcast(stream, message) }
        end

        def pass_on(stream, message)
          @link.write({ broadcast: stream, message: message })
        ensure
          missed = @mutex.synchronize do
            @bytes -= message.bytesize
            @missed.tap { @missed = false }
          end
          @link.write({ missed: "more than #{LIMIT} bytes waited to be written" }) if missed
        end

        # Connections of the database go back to the pool, and code is not reloaded meanwhile.
        def in_application(&block)
          ::Rails.application.executor.wrap(&block)
        end

    end
  end
end
