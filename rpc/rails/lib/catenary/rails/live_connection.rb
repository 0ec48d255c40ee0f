module Catenary
  module Rails
    # The application's connection with its channels, and all that stands in for the server around them.
    class LiveConnection
      attr_reader :name, :connection, :server, :ops, :coder, :ledger, :link
      attr_accessor :version, :generation, :used_at

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
      def command(link, number, early: true)
        @link = link
        @coder.forget
        @ops.begin link, number, early: early
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
        @ops.close
        invoke :handle_close
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
