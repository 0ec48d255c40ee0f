module Catenary
  module Rails
    # Receives broadcasts for a node (docs/rpc.md, "Broadcasts"), for the streams that it has asked
    # for, through the application's own pub/sub adapter. A thread of its own talks to the adapter,
    # which may block, and writes to the link, so that neither the reader nor the adapter waits.
    class Listening
      LIMIT = 16 * 1024 * 1024 # bytes received and not yet written; further broadcasts are missed

      RETRY_SECONDS = 1 # before an adapter that failed is called again

      # The callback that the adapter gets for a stream. wanted: false after an unlisten. live:
      # whether the adapter has confirmed. unanswered: listen messages without an answer.
      Subscriber = Struct.new(:listening, :stream, :adapter, :wanted, :live, :unanswered) do
        def call(message)
          listening.receive(stream, message)
        end

        def eql?(other)
          equal?(other)
        end
        alias_method :==, :eql?

        def hash
          object_id.hash
        end
      end

      # Prepended to Rails' subscriber maps, which hand callbacks to a pool of threads and so may
      # reorder messages. A Subscriber needs no pool.
      module InOrder
        def invoke_callback(callback, message)
          callback.is_a?(Subscriber) ? callback.call(message) : super
        end

        def self.in_all_adapters
          map = ActionCable::SubscriptionAdapter::SubscriberMap
          [map, *map.descendants].each do |type|
            prepended = type.ancestors.take_while { |ancestor| ancestor != type }.include?(self)
            type.prepend self if type.instance_methods(false).include?(:invoke_callback) && !prepended
          end
        end
      end

      THREAD = :catenary_listening # thread variable

      # Whether this thread is that of a Listening.
      def self.current?
        Thread.current.thread_variable_get(THREAD)
      end

      # Whether the application's broadcasts stay in the process that makes them.
      def self.local?
        ActionCable.server.config.pubsub_adapter <= ActionCable::SubscriptionAdapter::Inline
      rescue StandardError, LoadError
        false # the adapter's gem is missing, which Rails reports when it needs it
      end

      def initialize(link)
        @link = link
        @mutex = Mutex.new
        @tasks = Queue.new
        @subscribers = {} # by stream; used only by our thread
        @bytes, @missed = 0, false # guarded by the mutex
        @resubscribing, @closed = false, false
      end

      # For the link's reader, as are unlisten and publish.
      def listen(streams)
        start
        streams.each { |stream| @tasks << [:add, stream] }
      end

      def unlisten(streams)
        streams.each { |stream| @tasks << [:remove, stream] }
      end

      # number: for the answer; nil if none is wanted.
      def publish(stream, message, number = nil)
        start
        @tasks << [:broadcast, stream, message, number]
      end

      # For any thread of the adapter.
      def receive(stream, message)
        @mutex.synchronize do
          next @missed = true if @bytes + message.bytesize > LIMIT
          @bytes += message.bytesize
          @tasks << [:forward, stream, message]
        end
      end

      # The application's Action Cable has been restarted, and with it the adapter.
      def resubscribe
        @mutex.synchronize do
          next if @thread.nil? || @closed
          @resubscribing = true
          @tasks << [:subscribe_again]
        end
      end

      # Whether all streams are live again after a restart.
      def resubscribed?
        !@resubscribing
      end

      # Waiting for that has taken too long.
      def give_up_resubscribing
        @resubscribing = false
      end

      def any?
        @subscribers.any?
      end

      # Whether everything received has been written.
      def idle?
        @bytes == 0
      end

      # The link is closed.
      def close
        @tasks << [:stop]
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
            task, *arguments = @tasks.pop
            break if task == :stop
            send task, *arguments
          rescue StandardError, LoadError => error # the adapter's gem may be missing
            report error
          end
          finish
        end

        def report(error)
          ::Rails.logger&.error "[catenary] broadcasts may be missed: #{describe(error)}"
          @link.write({ missed: describe(error) })
        end

        # Without the user and password of a URL, which an adapter's error may contain.
        def describe(error)
          "#{error.message.lines.first.to_s.strip.truncate(300).gsub(%r{//[^/\s]*@}, "//…@")} (#{error.class})"
        end

        # Unsubscribes everything that is live, also what has just been confirmed. What is confirmed
        # later unsubscribes itself.
        def finish
          @mutex.synchronize { @closed, @resubscribing = true, false }
          until @tasks.empty?
            task, subscriber = @tasks.pop
            subscriber.live = true if task == :confirm
          end
          @subscribers.each_value { |subscriber| unsubscribe subscriber if subscriber.live }
        end

        def add(stream)
          subscriber = @subscribers[stream] ||= new_subscriber(stream)
          subscriber.wanted = true
          subscriber.live ? acknowledge(stream) : subscriber.unanswered += 1
          subscribe subscriber unless subscriber.adapter
        end

        def new_subscriber(stream, unanswered = 0)
          Subscriber.new(self, stream, nil, true, false, unanswered)
        end

        # If the adapter fails, tries again every RETRY_SECONDS.
        def subscribe(subscriber)
          in_application do
            adapter = ActionCable.server.pubsub
            InOrder.in_all_adapters
            adapter.subscribe(subscriber.stream, subscriber, -> { confirmed subscriber })
            subscriber.adapter = adapter
          end
        rescue StandardError, LoadError => error
          report error
          @retry ||= Thread.new do
            sleep RETRY_SECONDS
            @tasks << [:retry_subscribes]
          end
        end

        def retry_subscribes
          @retry = nil
          @subscribers.values.each { |subscriber| subscribe subscriber unless subscriber.adapter }
        end

        # For any thread of the adapter.
        def confirmed(subscriber)
          too_late = @mutex.synchronize do
            @tasks << [:confirm, subscriber] unless @closed
            @closed
          end
          unsubscribe subscriber if too_late
        end

        def confirm(subscriber)
          # Not if the adapter has been restarted meanwhile.
          return unless @subscribers[subscriber.stream].equal?(subscriber)
          subscriber.live = true
          @resubscribing = false if @resubscribing && @subscribers.each_value.all?(&:live)
          answer subscriber
          unsubscribe @subscribers.delete(subscriber.stream) unless subscriber.wanted
        end

        def answer(subscriber)
          subscriber.unanswered.times { acknowledge(subscriber.stream) }
          subscriber.unanswered = 0
        end

        def acknowledge(stream)
          @link.write({ listening: stream })
        end

        # A stream that the adapter has not confirmed yet is removed by confirm.
        def remove(stream)
          subscriber = @subscribers[stream] or return
          subscriber.wanted = false
          return if subscriber.adapter && !subscriber.live
          @subscribers.delete stream
          answer subscriber
          unsubscribe subscriber if subscriber.live
        end

        def unsubscribe(subscriber)
          in_application { subscriber.adapter.unsubscribe(subscriber.stream, subscriber) }
        end

        # Broadcasts between the restart and the new subscriptions may be missed.
        def subscribe_again
          return @resubscribing = false if @subscribers.empty?
          before, @subscribers = @subscribers.values, {}
          before.each do |old|
            if old.wanted
              subscribe(@subscribers[old.stream] = new_subscriber(old.stream, old.unanswered))
            else
              answer old
            end
          end
          @link.write({ missed: "Action Cable has been restarted" }) unless Listening.local?
        end

        def broadcast(stream, message, number)
          in_application { ActionCable.server.pubsub.broadcast(stream, message) }
          @link.write({ published: number }) if number
        rescue StandardError, LoadError => error
          raise unless number
          @link.write({ published: number, failed: describe(error) })
        end

        def forward(stream, message)
          @link.write({ broadcast: stream, message: message })
        ensure
          missed = @mutex.synchronize do
            @bytes -= message.bytesize
            @missed.tap { @missed = false }
          end
          @link.write({ missed: "more than #{LIMIT} bytes were waiting to be written" }) if missed
        end

        # The executor returns database connections to the pool, and prevents a reload meanwhile.
        def in_application(&block)
          ::Rails.application.executor.wrap(&block)
        end
    end
  end
end
