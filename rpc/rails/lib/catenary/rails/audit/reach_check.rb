module Catenary
  module Rails
    module Audit
      # What reaches for parts of Action Cable's server that are catenary's: sockets, their list, the event loop.
      class ReachCheck < Check
        SOCKET = "@websocket"

        def look
          calls("connections").each { |call| found :connections, call, "ActionCable.server.connections" if server?(call.receiver) }
          calls("open_connections_statistics").each { |call| found :connections, call, call.name }
          return unless subject.channels?
          each { |node| found :socket, node, SOCKET if socket?(node) }
          calls("timer").each { |call| found :event_loop, call, "event_loop.timer" if event_loop?(call.receiver) }
          calls("subscriptions").each { |call| found :siblings, call, call.to_s if call.receiver&.call?("connection") }
        end

        private
          def server?(receiver)
            return false unless receiver&.call?("server")
            owner = receiver.receiver
            owner.nil? ? subject.channels? : owner.const?("ActionCable") || owner.call?("connection")
          end

          def socket?(node)
            argument = node.positional.first
            case node.name
            when SOCKET then node.type == :ivar
            when "websocket" then node.call? && node.receiver&.call?("connection")
            when "instance_variable_get", "instance_variable_set" then argument&.name == SOCKET
            when "send", "__send__", "public_send" then argument&.name == "websocket"
            end
          end

          def event_loop?(receiver)
            receiver&.call?("event_loop") || receiver&.call?("executor") && !receiver.to_self?
          end
      end
    end
  end
end
