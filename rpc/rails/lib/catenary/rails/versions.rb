module Catenary
  module Rails
    # All differences between Rails versions that concern the gem.
    module Versions
      extend self

      # Rails 8.2 separates the socket from the connection. Its Server::Socket owns @websocket,
      # @coder and @protocol, and responds to process, handle_open, handle_close and
      # dispatch_websocket_message. In earlier versions the connection does.
      SEPARATE_SOCKET = ActionCable::Server.const_defined?(:Socket, false)

      # allow_same_origin_as_host compares the origin with the Host header up to Rails 8.1, and with
      # request.host_with_port as of 8.2.
      OWN_HOST_IS_FORWARDED = SEPARATE_SOCKET

      # Instance variables of Rails' own (6.1 to 8.2). They are not part of the application's state.
      CONNECTION_VARIABLES = %i[
        @server @env @coder @worker_pool @logger @websocket @subscriptions @message_buffer @_internal_subscriptions @started_at
        @protocol @request @socket
      ].to_h { |name| [name, true] }.freeze
      CHANNEL_VARIABLES = %i[
        @connection @identifier @params @defer_subscription_confirmation_counter @reject_subscription
        @subscription_confirmation_sent @_streams @active_periodic_timers @unsubscribed @parameter_filter
      ].to_h { |name| [name, true] }.freeze

      # Whether a fragment is being rendered for the cache. Rails 6.1 does not know.
      def caching?(view)
        view.respond_to?(:caching?) && view.caching?
      end

      # Prepended to Rails' WebSocket. Keeps it from creating a websocket-driver, which needs a TCP
      # connection.
      module WithoutDriver
        def initialize(_env, _target, event_loop, **)
          super unless EventLoop === event_loop
        end

        def self.prepend_to_socket
          (SEPARATE_SOCKET ? ActionCable::Server::Socket : ActionCable::Connection)::WebSocket.prepend self
        end
      end

      # Builds the application's connection around our socket. Returns the connection, and the
      # object that owns the socket (see SEPARATE_SOCKET).
      def build(server, env, socket, coder)
        driver = SEPARATE_SOCKET ? ActionCable::Server::Socket.new(server, env) : server.config.connection_class.call.new(server, env)
        driver.instance_variable_set(:@websocket, socket)
        driver.instance_variable_set(:@coder, coder)
        [SEPARATE_SOCKET ? driver.connection : driver, driver]
      end
    end
  end
end
