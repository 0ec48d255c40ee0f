module Catenary
  module Rails
    # Where the Rails versions differ in what we touch; nothing else asks for a version.
    module Versions
      extend self

      # Rails 8.2 parts the socket from the connection. The object that owns @websocket, @coder and @protocol, and that answers to
      # process, handle_open, handle_close and dispatch_websocket_message, is Server::Socket there, and the connection itself before.
      SEPARATE_SOCKET = ActionCable::Server.const_defined?(:Socket, false)

      # The origin that allow_same_origin_as_host allows is of the Host header up to Rails 8.1, and then of request.host_with_port.
      OWN_HOST_IS_FORWARDED = SEPARATE_SOCKET

      # Instance variables that belong to Rails (6.1 to 8.2): made anew with the object, or no state of the application's.
      CONNECTION_VARIABLES = %i[
        @server @env @coder @worker_pool @logger @websocket @subscriptions @message_buffer @_internal_subscriptions @started_at
        @protocol @request @socket
      ].to_h { |name| [name, true] }.freeze
      CHANNEL_VARIABLES = %i[
        @connection @identifier @params @defer_subscription_confirmation_counter @reject_subscription
        @subscription_confirmation_sent @_streams @active_periodic_timers @unsubscribed @parameter_filter
      ].to_h { |name| [name, true] }.freeze

      # Prepended to Rails' socket. With our event loop it makes no driver, which would want a TCP connection.
      module WithoutDriver
        def initialize(_env, _target, event_loop, **)
          super unless EventLoop === event_loop
        end

        def self.prepend_to_socket
          (SEPARATE_SOCKET ? ActionCable::Server::Socket : ActionCable::Connection)::WebSocket.prepend self
        end
      end

      # Builds the application's connection around our socket. Returns it and the object that drives it.
      def build(server, env, socket, coder)
        driver = SEPARATE_SOCKET ? ActionCable::Server::Socket.new(server, env) : server.config.connection_class.call.new(server, env)
        driver.instance_variable_set(:@websocket, socket)
        driver.instance_variable_set(:@coder, coder)
        [SEPARATE_SOCKET ? driver.connection : driver, driver]
      end
    end
  end
end
