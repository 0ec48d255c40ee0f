# Overrides the methods of Action Cable that applications and monitoring override. Writes every call
# into the event log, with the receiver and the arguments.
module Hooks
  extend self

  # Skips methods that a version of Rails does not have. Rails 8.2 has moved some to the socket.
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

  def enabled?
    ENV["LAB_HOOKS"] == "true"
  end

  def install
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
    Rails.configuration.event_log.add event: "hook", user: "hooks", hook: hook, receiver: describe(receiver), arguments: arguments.map { |argument| describe argument }
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

    # Objects by their class; stand-ins of the gem count as what they stand for.
    def describe(value)
      case value
      when nil, true, false, Symbol, String, Numeric then value
      when Array then value.map { |element| describe element }
      when Hash then value.key?("rack.version") || value.key?("REQUEST_METHOD") ? "env" : value.to_h { |key, element| [key, describe(element)] }
      when ActionCable::Server::Worker then "worker"
      else value.class.name
      end
    end
end
