# What `catenary bench` asks of an application. It keeps no record, unlike the other channels: that would be measured too.
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
