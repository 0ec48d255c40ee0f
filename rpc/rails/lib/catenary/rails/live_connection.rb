module Catenary
  module Rails
    # The application's connection with its channels, and the stand-ins for the server around them.
    class LiveConnection
      ABNORMAL_CLOSURE = 1006 # the code of RFC 6455 for a WebSocket that ended without a close frame

      attr_reader :name, :connection, :server, :effects, :coder, :ledger, :link
      attr_accessor :version, :generation
      attr_accessor :used_at, :idle, :locked # owned by LiveConnections
      attr_writer :lookups # set if it was rebuilt and has records

      # name: catenary's. env: the Rack environment of the handshake. cable: the ActionCable server.
      # identities: nil if the application's own connect runs.
      def initialize(name, env, cable, protocol, endpoint, identities = nil)
        @name = -name # a key of several hashes
        @effects = Effects.new(name)
        @server = Server.new(cable, @effects, endpoint)
        @socket = Socket.new(@effects, protocol)
        @coder = Coder.new
        env[Identities::ENV_KEY] = identities if identities
        @connection, @driver = Versions.build(@server, env, @socket, @coder)
        @connection.extend(Identified) if identities
        @ledger = Ledger.new(self, endpoint.state)
      end

      # Lets Rails check the origin and log the request. Returns its Rack response; see accepted?.
      def process
        @driver.process
      end

      # Whether Rails has accepted the handshake.
      def accepted?
        @socket.accepted?
      end

      # Whether the browser is still connected.
      def alive?
        @socket.alive?
      end

      # Runs the block as one command. Its effects belong to the link's call of that number, or to a
      # POST if link is nil.
      def command(link, number)
        @link = link
        @coder.clear_identifiers
        @effects.begin link, number
        with_jobs { yield }
      end

      # Runs the block, then the jobs that it has posted to the worker pool.
      def with_jobs
        @server.worker_pool.begin
        yield
        @server.worker_pool.finish
      end

      # The identifiers of the subscriptions that the call has touched, and the one that it is for.
      def touched(identifier)
        touched = @coder.identifiers | @effects.touched
        identifier ? touched | [identifier] : touched
      end

      # Runs the application's connect. Natively an exception there leaves the socket open and mute
      # forever; here the browser is told to reconnect.
      def open
        @driver.on_open
        drain
        @raised = !@server.opened? && @socket.alive?
        disconnect_for_retry if @raised
      end

      # Whether connect has raised an exception.
      def raised?
        @raised
      end

      def receive(frame)
        @driver.on_message frame
        drain
      end

      # timer: index into the channel's periodic timers.
      def tick(identifier, timer)
        channel = channels[identifier]
        block = channel&.send(:active_periodic_timers)&.at(timer)&.block
        as_channel identifier do
          block&.call
          drain
        end
      end

      # Whether the application overrides Connection#beat, which the server's heartbeat calls.
      def overrides_beat?
        !Native.method?(@connection, :beat)
      end

      # Runs outside of the worker pool, as natively, where its exceptions are lost.
      def beat
        ::Rails.application.executor.wrap { @socket.without_pings { @connection.beat } }
      rescue StandardError => error
        log_exception error
      ensure
        drain
      end

      # Runs the handlers of a stream with a token. A stream that was just stopped has none.
      def deliver(identifier, stream, payload)
        @server.pubsub.handlers(identifier, stream).each do |handler|
          handler.call(payload)
        rescue StandardError => error
          log_exception error
        end
        as_channel(identifier) { drain }
      end

      # Runs unsubscribed of every channel, then disconnect. code, text: of the close frame, if
      # there was one. failed: whether the browser has violated the WebSocket protocol. Adds to
      # warnings what has been lost.
      def close(code, text, failed: false, warnings: [])
        @socket.disconnected
        @effects.close
        callbacks = lambda do
          @driver.on_error text if failed
          @driver.on_close text, code || ABNORMAL_CLOSURE
          drain
        end
        @lookups ? @lookups.at_close(channels.keys, warnings, &callbacks) : callbacks.call
      end

      # Dispatches a command with all of its callbacks, after the browser has disconnected.
      def dispatch(command)
        @socket.treated_as_alive { @driver.dispatch_websocket_message @coder.encode(command) }
      end

      # Subscribed channels by identifier.
      def channels
        @connection.subscriptions.send(:subscriptions)
      end

      def logger
        @connection.logger
      end

      # What ActionCable's handle_open does besides calling connect.
      def restore_open
        @driver.instance_variable_set(:@protocol, @socket.protocol)
        @driver.instance_variable_get(:@message_buffer).process!
      end

      # Whether the browser performs actions. Most browsers subscribe and then only listen.
      def acting?
        @coder.acting?
      end

      # Whether only this process can serve it, because of streams with a block.
      def pinned?
        @server.pubsub.blocks?
      end

      private
        # Runs the block for this channel: its exceptions and records are the channel's.
        def as_channel(identifier, &block)
          @server.worker_pool.channel = channels[identifier]
          @lookups ? @lookups.for_channels([identifier], &block) : yield
        ensure
          @server.worker_pool.channel = nil
        end

        def drain
          @server.worker_pool.drain
        end

        def disconnect_for_retry
          @connection.close(reason: ActionCable::INTERNAL[:disconnect_reasons][:server_restart], reconnect: true)
        end

        # In Rails' words.
        def log_exception(error)
          logger.error "There was an exception - #{error.class}(#{error.message})"
        end
    end
  end
end
