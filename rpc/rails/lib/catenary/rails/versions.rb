module Catenary
  module Rails
    # Where the Rails versions differ in what we touch; nothing else asks for a version.
    module Versions
      extend self

      # Rails 8.2 parts the socket from the connection. The object that owns @websocket, @coder and @protocol, and that answers to
      # process, handle_open, handle_close and dispatch_websocket_message, is Server::Socket there, and the connection itself before.
      SEPARATE_SOCKET = ActionCable::Server.const_defined?(:Socket, false)

      # Instance variables that belong to Rails (6.1 to 8.2): made anew with the object, or no state of the application's.
      CONNECTION_VARIABLES = %i[
        @server @env @coder @worker_pool @logger @websocket @subscriptions @message_buffer @_internal_subscriptions @started_at
        @protocol @request @socket
      ].to_h { |name| [name, true] }.freeze
      CHANNEL_VARIABLES = %i[
        @connection @identifier @params @defer_subscription_confirmation_counter @reject_subscription
        @subscription_confirmation_sent @_streams @active_periodic_timers @unsubscribed @parameter_filter
      ].to_h { |name| [name, true] }.freeze

      # Builds the application's connection around our socket. Returns it and the object that drives it.
      def build(server, env, socket, coder)
        upgrade = env.delete("HTTP_UPGRADE")
        driver = SEPARATE_SOCKET ? ActionCable::Server::Socket.new(server, env) : server.config.connection_class.call.new(server, env)
        give_back upgrade, env, driver if upgrade
        driver.instance_variable_set(:@websocket, socket)
        driver.instance_variable_set(:@coder, coder)
        [SEPARATE_SOCKET ? driver.connection : driver, driver]
      end

      private
        # Without an Upgrade header Rails makes no WebSocket driver, which would want a TCP socket. The application still sees it,
        # also if one of its log tags has asked for the request, which has a copy of the environment.
        def give_back(upgrade, env, driver)
          env["HTTP_UPGRADE"] = upgrade
          request = driver.instance_variable_get(:@request)
          request.set_header("HTTP_UPGRADE", upgrade) if request
        end
    end
  end
end
