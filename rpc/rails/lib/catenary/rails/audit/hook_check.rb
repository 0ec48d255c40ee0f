module Catenary
  module Rails
    class Audit
      # Methods of Action Cable's that an application or a gem has overridden: in a subclass, by a module or in Rails' own class.
      class HookCheck < Check
        PINNED = "every message of every stream goes through it: #{StreamCheck::MEANS}"
        REBUILT = "runs again whenever the objects of a connection are rebuilt, in another process or after a pause"
        UNLISTED = "the list of connections is empty also in here: they are catenary's"
        NATIVE = "runs as natively"

        # What differs behind catenary, as docs/differences.md has it.
        DIFFERENT = {
          initialize: REBUILT, call: REBUILT, work: "#{REBUILT}; not for messages that reach browsers without Ruby",
          on_close: "runs when catenary reports the disconnect; the code is 1006 where the browser sent no close frame",
          on_error: "runs right before on_close, with another text than natively",
          dispatch_websocket_message: "runs as natively, and once more, around no command, when a rebuilt connection closes whose records can only be found inside of it",
          add_connection: UNLISTED, remove_connection: "#{UNLISTED}; it may run in another process, with another object, than add_connection"
        }.freeze

        CHANNEL = %i[
          initialize subscribe_to_channel unsubscribe_from_channel perform_action dispatch_action stream_from stop_stream_from
          stop_all_streams start_periodic_timers transmit_subscription_confirmation
        ].freeze
        CONNECTION = %i[
          initialize process receive send_async on_open on_message on_error on_close handle_open handle_close handle_channel_command
          dispatch_websocket_message send_welcome_message subscribe_to_internal_channel unsubscribe_from_internal_channel close
        ].freeze
        SERVER = %i[call add_connection remove_connection connections open_connections_statistics].freeze
        WORKER = %i[work invoke async_invoke async_exec].freeze
        SOCKET = %w[ClientSocket WebSocket Stream StreamEventLoop].freeze

        Override = Struct.new(:type, :name, :owner, :file, :line) do
          def to_s
            "def #{name}"
          end
        end

        class << self
          # All overrides of these methods in a class, in what it includes or prepends.
          def overrides(type, names, owners = type.ancestors)
            owners.reject { |owner| ours?(owner) }.flat_map do |owner|
              (names & (owner.instance_methods(false) + owner.private_instance_methods(false))).filter_map do |name|
                file, line = own_method(owner, name).source_location
                Override.new(type, name, owner, file, line) if file && !rails?(file)
              end
            end
          end

          private
            # Not that of what is prepended to it.
            def own_method(owner, name)
              method = owner.instance_method(name)
              method = method.super_method until method.owner == owner
              method
            end

            def rails?(file)
              @rails ||= [ActionCable.method(:server), ActiveSupport.method(:on_load)].map { |method| File.dirname(method.source_location.first) }
              file.start_with?(*@rails)
            end

            def ours?(owner)
              Module.instance_method(:name).bind_call(owner).to_s.start_with?("Catenary::Rails::")
            end
        end

        def look
          subject.channels? ? of_subject : of_rails
        end

        private
          def of_subject
            overrides(subject.type, [:transmit, *(ChannelStreams::DELIVERY unless subject.connection?)], subject.lineage) { |method| delivery method, subject.pass_through }
            overrides(subject.type, [:beat], subject.lineage) { |method| beat method } if subject.connection?
            overrides(subject.type, subject.connection? ? CONNECTION : CHANNEL, subject.lineage) { |method| overridden method }
          end

          def of_rails
            overrides(ActionCable::Channel::Base, ChannelStreams::DELIVERY) { |method| delivery method, "change: do it where the message is made" }
            overrides(ActionCable::Connection::Base, [:transmit]) { |method| delivery method, "change: do it where the message is made" }
            overrides(ActionCable::Connection::Base, [:beat]) { |method| beat method }
            overrides(ActionCable::Channel::Base, CHANNEL) { |method| overridden method }
            overrides(ActionCable::Connection::Base, CONNECTION) { |method| overridden method }
            overrides(ActionCable::Server::Base, SERVER) { |method| overridden method }
            overrides(ActionCable::Server::Worker, WORKER) { |method| overridden method }
            heartbeat
            sockets
          end

          def overrides(type, names, owners = type.ancestors, &block)
            self.class.overrides(type, names.uniq, owners).each(&block)
          end

          def delivery(method, instead)
            found "delivery", [method.file, method.line], "pinned", method.to_s, PINNED, "#{PIN}, or #{instead}"
          end

          def beat(method)
            found "heartbeat", [method.file, method.line], "timers", method.to_s,
              "catenary pings by itself; for what else it does, every connection is a call to Rails every three seconds"
          end

          def overridden(method)
            found "overridden", [method.file, method.line], "plain", method.to_s, DIFFERENT.fetch(method.name, NATIVE)
          end

          def heartbeat
            overrides(ActionCable::Server::Base, [:setup_heartbeat_timer]) { |method| no_pings [method.file, method.line], method.to_s }
            subject.nodes.each { |node| no_pings node, node.name if node.name.to_s.match?(/\A(.*::)?(BEAT_INTERVAL|setup_heartbeat_timer)\z/) && %i[const call].include?(node.type) }
          end

          def no_pings(where, code)
            found "heartbeat", where, "plain", code, "has no effect: the connections, and so the pings, are catenary's", "change: ping.interval in config/catenary.yml"
          end

          def sockets
            namespaces = [ActionCable::Connection, (ActionCable::Server::Socket if ActionCable::Server.const_defined?(:Socket, false))].compact
            classes = namespaces.flat_map { |namespace| SOCKET.filter_map { |name| namespace.const_get(name) if namespace.const_defined?(name, false) } }
            classes.each do |type|
              overrides(type, type.instance_methods + type.private_instance_methods, type.ancestors - Object.ancestors) do |method|
                found "overridden", [method.file, method.line], "plain", "#{type.name.demodulize}##{method.name}", "has no effect: sockets and subscriptions are catenary's"
              end
            end
          end
      end
    end
  end
end
