module Catenary
  module Rails
    # The application's connection with its channels, and all that stands in for the server around them.
    class LiveConnection
      GONE = 1006 # the code of an end without a close frame

      attr_reader :name, :connection, :server, :ops, :coder, :ledger, :link
      attr_accessor :version, :generation, :used_at, :settled, :held # the last two are LiveConnections'
      attr_writer :lookups # only if it was rebuilt, and has records

      # identities: nil if the application's own connect runs.
      def initialize(name, env, cable, protocol, endpoint, identities = nil)
        @name = name
        @ops = Ops.new(name)
        @server = Server.new(cable, @ops, endpoint)
        @socket = Socket.new(@ops, protocol)
        @coder = Coder.new
        env[Identities::ENV_KEY] = identities if identities
        @connection, @driver = Versions.build(@server, env, @socket, @coder)
        @connection.extend(Identified) if identities
        @ledger = Ledger.new(self, endpoint.state)
      end

      # Has Rails check the origin and log the request. Returns its Rack response; see accepted?.
      def process
        @driver.process
      end

      def accepted?
        @socket.accepted?
      end

      # Whether the browser is still there.
      def alive?
        @socket.alive?
      end

      # Runs the block, whose effects are those of the link's call of that number, or of a POST.
      def command(link, number)
        @link = link
        @coder.forget
        @ops.begin link, number
        prepare { yield }
      end

      # Runs the block, and then the jobs that it has left.
      def prepare
        @server.worker_pool.begin
        yield
        @server.worker_pool.finish
      end

      # The identifiers of the subscriptions that the call has touched. identifier: of the one that it is for, or nil.
      def touched(identifier)
        touched = @coder.identifiers | @ops.touched
        identifier ? touched | [identifier] : touched
      end

      # An exception in connect leaves the socket mute for ever natively. Better to let the browser try again.
      def open
        @driver.on_open
        drain
        @raised = !@server.opened? && @socket.alive?
        close_mute if @raised
      end

      # Whether connect has raised an exception.
      def raised?
        @raised
      end

      def receive(frame)
        @driver.on_message frame
        drain
      end

      def tick(identifier, timer)
        channel = channels[identifier]
        block = channel&.send(:active_periodic_timers)&.at(timer)&.block
        working_for identifier do
          block&.call
          drain
        end
      end

      # Whether the application has changed what the server's heartbeat calls.
      def beats?
        !Native.method?(@connection, :beat)
      end

      # Natively outside of the worker pool, and what it raises is lost.
      def beat
        ::Rails.application.executor.wrap { @socket.without_pings { @connection.beat } }
      rescue StandardError => error
        logger.error "There was an exception - #{error.class}(#{error.message})"
      ensure
        drain
      end

      # A stream that was stopped a moment ago has no handlers.
      def deliver(identifier, stream, payload)
        @server.pubsub.handlers(identifier, stream).each do |handler|
          handler.call(payload)
        rescue StandardError => error
          logger.error "There was an exception - #{error.class}(#{error.message})"
        end
        working_for(identifier) { drain }
      end

      # code, text: of the close frame, as far as there was one. failed: whether the browser has broken WebSocket's protocol.
      # warnings: takes what is gone.
      def close(code, text, failed: false, warnings: [])
        @socket.gone
        @ops.close
        ends = lambda do
          @driver.on_error text if failed
          @driver.on_close text, code || GONE
          drain
        end
        @lookups ? @lookups.due_at_end(channels.keys, warnings, &ends) : ends.call
      end

      # Runs what surrounds commands around this one, after the browser has gone.
      def dispatch(command)
        @socket.revived { @driver.dispatch_websocket_message @coder.encode(command) }
      end

      # Subscribed channels by identifier.
      def channels
        @connection.subscriptions.send(:subscriptions)
      end

      def logger
        @connection.logger
      end

      # What handle_open does natively, besides the application's connect.
      def restore_open
        @driver.instance_variable_set(:@protocol, @socket.protocol)
        @driver.instance_variable_get(:@message_buffer).process!
      end

      # Whether commands are to be expected of it: most browsers subscribe, and then only listen.
      def acting?
        @coder.acting?
      end

      # Whether only this process can serve it.
      def pinned?
        @server.pubsub.blocks?
      end

      private
        def working_for(identifier, &block)
          @lookups ? @lookups.due([identifier], &block) : yield
        end

        def drain
          @server.worker_pool.drain
        end

        def close_mute
          @connection.close(reason: ActionCable::INTERNAL[:disconnect_reasons][:server_restart], reconnect: true)
        end
    end
  end
end
