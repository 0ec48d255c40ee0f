# Overrides what applications and their monitoring override in Action Cable, and writes into the event log who was called, on
# what, and with which arguments.
module Hooks
  extend self

  # What exists only in some versions is left out in the others. Rails 8.2 has moved some to the socket.
  CONNECTION = %i[
    process receive send_async on_open on_message on_error on_close handle_open handle_close handle_channel_command
    dispatch_websocket_message send_welcome_message subscribe_to_internal_channel unsubscribe_from_internal_channel connect disconnect
    close beat
  ]
  SERVER = %i[call add_connection remove_connection]
  SUBSCRIPTIONS = %i[execute_command add remove remove_subscription perform_action unsubscribe_from_all]
  CHANNEL = %i[
    subscribe_to_channel perform_action unsubscribe_from_channel dispatch_action stream_from stop_stream_from stop_all_streams
    start_periodic_timers transmit_subscription_confirmation
  ]
  WORKER = %i[work invoke async_invoke async_exec]

  def wanted?
    ENV["LAB_HOOKS"] == "true"
  end

  def watch
    override ActionCable::Connection::Base, CONNECTION
    override ActionCable::Server::Socket, CONNECTION if ActionCable::Server.const_defined?(:Socket, false)
    override ActionCable::Server::Base, SERVER
    override ActionCable::Connection::Subscriptions, SUBSCRIPTIONS
    override ActionCable::Channel::Base, CHANNEL + (ENV["LAB_HOOKS_TRANSMIT"] == "true" ? [:transmit] : [])
    override ActionCable::Server::Worker, WORKER
    ActionCable::Server::Worker.set_callback :work, :before do
      Hooks.note "work callback", self, [connection, ActionCable::Server::Worker.connection]
    end
    ActiveSupport::Notifications.subscribe(/\.action_cable\z/) { |name, _, _, _, payload| Hooks.note name, nil, [payload.except(:exception_object)] }
  end

  def note(hook, receiver, arguments)
    Rails.configuration.event_log.add event: "hook", user: "hooks", hook: hook, receiver: told(receiver), arguments: arguments.map { |argument| told argument }
  end

  private
    def override(base, names)
      names = names.select { |name| base.method_defined?(name) || base.private_method_defined?(name) }
      base.prepend(Module.new do
        names.each do |name|
          define_method name do |*arguments, &block|
            Hooks.note "#{base.name.delete_prefix("ActionCable::")}##{name}", self, arguments
            super(*arguments, &block)
          end
          ruby2_keywords name
          private name if base.private_method_defined?(name)
        end
      end)
    end

    # An object of Rails' by its class: what stands in for one is nobody's business.
    def told(value)
      case value
      when nil, true, false, Symbol, String, Numeric then value
      when Array then value.map { |one| told one }
      when Hash then value.key?("rack.version") || value.key?("REQUEST_METHOD") ? "env" : value.to_h { |key, one| [key, told(one)] }
      when ActionCable::Server::Worker then "worker"
      else value.class.name
      end
    end
end
