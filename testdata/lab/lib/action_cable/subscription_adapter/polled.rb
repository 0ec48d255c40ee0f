require "json"

module ActionCable
  module SubscriptionAdapter
    # An adapter of somebody else's, designed as solid_cable is: broadcasts are rows that every process looks for ten times a
    # second. Here they are lines of a file, LAB_BROADCASTS.
    class Polled < Base
      prepend ChannelPrefix

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
          @listener || @server.mutex.synchronize { @listener ||= Listener.new(path, @server) }
        end

        class Listener < SubscriberMap
          def initialize(path, server)
            super()
            @server = server
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
            post(&on_success) if on_success
          end

          def invoke_callback(*)
            post { super }
          end

          private
            def post(&block)
              (@server.respond_to?(:event_loop) ? @server.event_loop : @server.executor).post(&block)
            end
        end
    end
  end
end
