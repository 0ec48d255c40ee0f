module Catenary
  module Rails
    # What a node hears through this process (docs/rpc.md, "Broadcasts"): the streams that it has asked for, by way of the
    # application's own pub/sub adapter. A thread of its own speaks with the adapter, which may block, and writes what it hears, so
    # that neither the reader of the link nor the adapter has to wait.
    class Listening
      LIMIT = 16 * 1024 * 1024 # bytes heard and not yet written, beyond which what comes is missed

      RETRY_SECONDS = 1        # before an adapter that failed is asked again

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
        @ears, @bytes, @missed, @reopening, @closed = {}, 0, false, false, false
      end

      # From the reader of the link.
      def listen(streams)
        start
        streams.each { |stream| @todo << [:open, stream] }
      end

      def unlisten(streams)
        streams.each { |stream| @todo << [:shut, stream] }
      end

      # number: of the question, which is answered; nil: it is none.
      def publish(stream, message, number = nil)
        start
        @todo << [:say, stream, message, number]
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
        @mutex.synchronize do
          next if @thread.nil? || @closed
          @reopening = true
          @todo << [:open_again]
        end
      end

      # Whether all is heard again after that.
      def reopened?
        !@reopening
      end

      # It takes too long to wait for that.
      def give_up_reopening
        @reopening = false
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
          rescue StandardError, LoadError => error # the adapter's gem may be missing
            tell error
          end
          finish
        end

        def tell(error)
          ::Rails.logger&.error "[catenary] broadcasts: #{describe(error)}"
          @link.write({ missed: describe(error) })
        end

        # An adapter's error may have the URL in it, and so a password.
        def describe(error)
          "#{error.message.lines.first.to_s.strip.truncate(300).gsub(%r{//[^/\s]*@}, "//…@")} (#{error.class})"
        end

        # Who has just become live has left word; who will forgets itself.
        def finish
          @mutex.synchronize { @closed, @reopening = true, false }
          @todo.pop.then { |work, ear| ear.live = true if work == :opened } until @todo.empty?
          @ears.each_value { |ear| forget ear if ear.live }
        end

        def open(stream)
          ear = @ears[stream] ||= new_ear(stream)
          ear.wanted = true
          ear.live ? acknowledge(stream) : ear.owed += 1
          subscribe ear unless ear.adapter
        end

        def new_ear(stream, owed = 0)
          Ear.new(self, stream, nil, true, false, owed)
        end

        # If the adapter fails, again and again.
        def subscribe(ear)
          in_application do
            adapter = ActionCable.server.pubsub
            InOrder.in_all_adapters
            adapter.subscribe(ear.stream, ear, -> { live ear })
            ear.adapter = adapter
          end
        rescue StandardError, LoadError => error
          tell error
          @pause ||= Thread.new { sleep RETRY_SECONDS; @todo << [:try_again] }
        end

        def try_again
          @pause = nil
          @ears.each_value.to_a.each { |ear| subscribe ear unless ear.adapter }
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
          @reopening = false if @reopening && @ears.each_value.all?(&:live)
          answer ear
          forget @ears.delete(ear.stream) unless ear.wanted
        end

        def answer(ear)
          ear.owed.times { acknowledge(ear.stream) }
          ear.owed = 0
        end

        def acknowledge(stream)
          @link.write({ listening: stream })
        end

        # One that is not live yet is given up when it is, or at once if the adapter has failed.
        def shut(stream)
          ear = @ears[stream] or return
          ear.wanted = false
          return if ear.adapter && !ear.live
          @ears.delete stream
          answer ear
          forget ear if ear.live
        end

        def forget(ear)
          in_application { ear.adapter.unsubscribe(ear.stream, ear) }
        end

        # Of what was broadcast in between, nobody has heard.
        def open_again
          return @reopening = false if @ears.empty?
          before, @ears = @ears.values, {}
          before.each do |ear|
            ear.wanted ? subscribe(@ears[ear.stream] = new_ear(ear.stream, ear.owed)) : answer(ear)
          end
          @link.write({ missed: "Action Cable has been restarted" }) unless Listening.local?
        end

        def say(stream, message, number)
          in_application { ActionCable.server.pubsub.broadcast(stream, message) }
          @link.write({ published: number }) if number
        rescue StandardError, LoadError => error
          raise unless number
          @link.write({ published: number, failed: describe(error) })
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
