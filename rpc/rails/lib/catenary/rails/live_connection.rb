module Catenary
  module Rails
    # The application's connection with its channels, and all that stands in for the server around them.
    class LiveConnection
      attr_reader :name, :connection, :server, :ops, :coder
      attr_accessor :version, :generation

      # identities: nil if the application's own connect runs.
      def initialize(name, env, cable, protocol, endpoint, identities = nil)
        @name = name
        @ops = Ops.new(name, endpoint.late_effects, endpoint.early_flush)
        @server = Server.new(cable, @ops, endpoint.boot)
        @socket = Socket.new(@ops, protocol)
        @coder = Coder.new
        env[Identities::ENV_KEY] = identities if identities
        @connection, @driver = Versions.build(@server, env, @socket, @coder)
        @connection.extend(Identified) if identities
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

      # Runs the block as a command of that node, in its call seq. Returns its ops.
      def command(node, seq = nil)
        @coder.forget
        @server.worker_pool.begin
        @ops.begin(node, seq)
        Broadcasts.of(@ops) do
          yield
          @server.worker_pool.finish
        end
        @ops.finish
      end

      # An exception in connect leaves the socket mute for ever natively. Better to let the browser try again.
      def open
        invoke :handle_open
        close_mute unless @server.opened? || !@socket.alive?
      end

      def receive(frame)
        invoke :dispatch_websocket_message, frame
      end

      def tick(identifier, timer)
        channel = channels[identifier]
        block = channel&.send(:active_periodic_timers)&.at(timer)&.block
        block&.call
        drain
      end

      # A stream that was stopped a moment ago has no handlers.
      def deliver(identifier, stream, payload)
        @server.pubsub.handlers(identifier, stream).each do |handler|
          handler.call(payload)
        rescue StandardError => error
          logger.error "There was an exception - #{error.class}(#{error.message})"
        end
        drain
      end

      def close
        @socket.gone
        invoke :handle_close
        @ops.close
      end

      # Runs the block as a worker would, without handling its exceptions.
      def work(&block)
        @server.worker_pool.work(@driver, &block)
      end

      # Subscribed channels by identifier.
      def channels
        @connection.subscriptions.send(:subscriptions)
      end

      def logger
        @connection.logger
      end

      # Natively set in handle_open.
      def restore_protocol
        @driver.instance_variable_set(:@protocol, @socket.protocol)
      end

      # Its state has been written.
      def remember
        @snapshot = Snapshot.new(self)
      end

      # Whether the state that was written last still holds.
      def unchanged?
        @snapshot&.holds?(self)
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
        def invoke(method, *args)
          @server.worker_pool.invoke(@driver, method, *args, connection: @driver)
          drain
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
