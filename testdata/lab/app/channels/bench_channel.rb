# The channel that `catenary bench` uses. Unlike the other channels it records nothing, because that
# would be measured too.
class BenchChannel < ActionCable::Channel::Base
  def subscribed
    stream_from params[:stream]
  end

  def echo(data)
    transmit data
  end

  def broadcast(data)
    ActionCable.server.broadcast params[:stream], data
  end
end
