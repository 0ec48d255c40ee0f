module Catenary
  module Rails
    class Audit
      # What reaches for parts of Action Cable's server that are catenary's: sockets, their list, the event loop.
      class ReachCheck < Check
        SOCKET = "@websocket"

        def look
          subject.nodes.each { |node| socket node if subject.channels? && socket?(node) }
          calls("timer") { |call| timer call if event_loop?(call.receiver) } if subject.channels?
          calls("connections") { |call| connections call, "ActionCable.server.connections" if server?(call.receiver) }
          calls("open_connections_statistics") { |call| connections call, call.name }
          calls("subscriptions") { |call| siblings call if call.receiver&.call?("connection") } if subject.channels? && !subject.connection?
        end

        private
          def socket?(node)
            case node.type
            when :ivar then node.name == SOCKET
            when :call
              argument = node.positional.first
              node.name == "websocket" && node.receiver&.call?("connection") ||
                %w[instance_variable_get instance_variable_set].include?(node.name) && argument&.name == SOCKET && argument.type != :ivar ||
                %w[send __send__ public_send].include?(node.name) && argument&.name == "websocket"
            end
          end

          def socket(node)
            found "@websocket", node, "pass-through", SOCKET,
              "the socket is catenary's: what stands in for it can transmit and close, and has no driver or stream to reach",
              "#{subject.pass_through}; if it is to find dead sockets, change: drop it, catenary finds those itself"
          end

          def event_loop?(receiver)
            receiver&.call?("event_loop") || receiver&.call?("executor") && !receiver.to_self?
          end

          def timer(call)
            found "event loop", call, "cannot work", "event_loop.timer",
              "it never fires: the event loop belongs to the process that has the sockets", "change: periodically"
          end

          def server?(receiver)
            receiver&.call?("server") && (receiver.receiver.nil? ? subject.channels? : receiver.receiver.const?("ActionCable") || receiver.receiver.call?("connection"))
          end

          def connections(call, code)
            found "server connections", call, "cannot work", code, "always empty: the connections are catenary's",
              "change: count with catenary's metrics, or keep count in connect and disconnect"
          end

          def siblings(call)
            found "subscriptions", call, "plain", "connection.subscriptions",
              "has all of the connection's subscriptions, on the live object and when it is rebuilt; not those that are passed through"
          end
      end
    end
  end
end
