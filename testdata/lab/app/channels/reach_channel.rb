# Accesses the driver of Rails' socket, as checks for dead sockets do.
class ReachChannel < ApplicationCable::Channel
  def peek
    socket = connection.instance_variable_get(:@websocket)
    transmit({ driver: socket.instance_variable_get(:@websocket).present? })
  end
end
