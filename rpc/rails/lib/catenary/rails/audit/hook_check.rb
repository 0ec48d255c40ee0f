module Catenary
  module Rails
    module Audit
      # Methods of Action Cable's that an application or a gem overrides: in a subclass, by a module or in Rails' own class.
      class HookCheck < Check
        CHANNEL = %i[
          initialize subscribe_to_channel unsubscribe_from_channel perform_action dispatch_action stream_from
          stop_stream_from stop_all_streams start_periodic_timers transmit_subscription_confirmation
        ].freeze
        CONNECTION = %i[
          initialize process receive send_async on_open on_message on_error on_close handle_open handle_close
          handle_channel_command dispatch_websocket_message send_welcome_message subscribe_to_internal_channel
          unsubscribe_from_internal_channel close
        ].freeze
        SERVER = %i[call add_connection remove_connection connections open_connections_statistics].freeze
        WORKER = %i[work invoke async_invoke async_exec].freeze
        SOCKET = %i[ClientSocket WebSocket Stream StreamEventLoop].freeze # classes, in Server::Socket since Rails 8.2

        # What differs behind catenary, as docs/differences.md has it. All others run as natively.
        DIFFERENT = {
          initialize: :overridden_rebuilt, call: :overridden_rebuilt, work: :overridden_work, on_close: :overridden_close,
          on_error: :overridden_error, dispatch_websocket_message: :overridden_dispatch, add_connection: :overridden_list,
          remove_connection: :overridden_list, connections: :overridden_list, open_connections_statistics: :overridden_list
        }.freeze

        def look
          subject.channels? ? of_subject : of_rails
        end

        private
          def of_subject
            type, owners = subject.type, subject.lineage
            if subject.connection?
              overrides(type, [:transmit], owners) { |method, code| found :delivery, method, code }
              overrides(type, [:beat], owners) { |method, code| found :beat, method, code }
            else
              overrides(type, ChannelStreams::DELIVERY, owners) { |method, code| found :delivery, method, code }
            end
            overridden type, subject.connection? ? CONNECTION : CHANNEL, owners
          end

          def of_rails
            channel, connection, server = ActionCable::Channel::Base, ActionCable::Connection::Base, ActionCable::Server::Base
            overrides(channel, ChannelStreams::DELIVERY) { |method, code| found :delivery_of_all, method, code }
            overrides(connection, [:transmit]) { |method, code| found :delivery_of_all, method, code }
            overrides(connection, [:beat]) { |method, code| found :beat, method, code }
            overrides(server, [:setup_heartbeat_timer]) { |method, code| found :no_pings, method, code }
            overridden channel, CHANNEL
            overridden connection, CONNECTION
            overridden server, SERVER
            overridden ActionCable::Server::Worker, WORKER
            overridden ActionCable::Server::Socket, CONNECTION if separate_socket?
            sockets.each do |type|
              all = type.instance_methods + type.private_instance_methods
              overrides(type, all, type.ancestors - Object.ancestors) do |method, code|
                found :overridden_socket, method, code.sub("def ", "#{type.name.demodulize}#")
              end
            end
            each { |node| found :no_pings, node, node.name if node.const? && node.name.match?(/\bBEAT_INTERVAL\z/) }
          end

          def overridden(type, names, owners = type.ancestors)
            overrides(type, names, owners) { |method, code, name| found DIFFERENT.fetch(name, :overridden), method, code }
          end

          # Yields the place, the code and the name of all overrides in a class, in what it includes and prepends.
          def overrides(type, names, owners = type.ancestors)
            owners.reject { |owner| ours?(owner) }.each do |owner|
              (names & (owner.instance_methods(false) + owner.private_instance_methods(false))).each do |name|
                place = own_method(owner, name).source_location
                yield place, "def #{name}", name if place && !rails?(place.first)
              end
            end
          end

          # Not that of a module that is prepended to it.
          def own_method(owner, name)
            method = owner.instance_method(name)
            method = method.super_method until method.owner == owner
            method
          end

          def rails?(file)
            @rails ||= [ActionCable.method(:server), ActiveSupport.method(:on_load)].map(&:source_location)
            file.start_with?(*@rails.map { |place,| File.dirname(place) })
          end

          # The gem's.
          def ours?(owner)
            subject.sources.name_of(owner).to_s.start_with?("Catenary::Rails::")
          end

          # Rails 8.2
          def separate_socket?
            ActionCable::Server.const_defined?(:Socket, false)
          end

          def sockets
            namespaces = [ActionCable::Connection]
            namespaces << ActionCable::Server::Socket if separate_socket?
            classes = namespaces.product(SOCKET).select { |namespace, name| namespace.const_defined?(name, false) }
            classes.map { |namespace, name| namespace.const_get(name) }
          end
      end
    end
  end
end
