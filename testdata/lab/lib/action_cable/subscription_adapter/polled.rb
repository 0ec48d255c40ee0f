require "json"

module ActionCable
  module SubscriptionAdapter
    # A third-party adapter, designed like solid_cable: every process polls for broadcasts ten times
    # a second. Here they are lines of the file LAB_BROADCASTS.
    class Polled < Base
      prepend ChannelPrefix

      def initialize(server)
        super
        @lock = Mutex.new
        @executor = server.respond_to?(:executor) ? server.executor : server.event_loop # Rails 8.2, and earlier
      end

      def broadcast(channel, payload)
        File.open(path, "a") do |file|
          file.flock File::LOCK_EX
          file.write JSON.generate([channel, payload]) << "\n"
        end
      end

      def subscribe(channel, callback, success_callback = nil)
        listener.add_subscriber(channel, callback, success_callback)
      end

      def unsubscribe(channel, callback)
        listener.remove_subscriber(channel, callback)
      end

      def shutdown
        @listener&.shutdown
      end

      private
        def path
          ENV.fetch("LAB_BROADCASTS")
        end

        def listener
          @listener || @lock.synchronize { @listener ||= Listener.new(path, @executor) }
        end

        class Listener < SubscriberMap
          def initialize(path, executor)
            super()
            @executor = executor
            @file = File.open(path, File::RDONLY | File::CREAT)
            @file.seek 0, IO::SEEK_END
            @thread = Thread.new { loop { listen } }
          end

          def listen
            sleep 0.1
            @file.flock File::LOCK_SH
            lines = @file.readlines
            @file.flock File::LOCK_UN
            lines.each { |line| broadcast(*JSON.parse(line)) }
          end

          def shutdown
            @thread.kill
          end

          def add_channel(_channel, on_success)
            @executor.post(&on_success) if on_success
          end

          def invoke_callback(*)
            @executor.post { super }
          end
        end
    end
  end
end
