# Wraps every message of its stream, because Rails delivers them with transmit.
class WrappingChannel < ApplicationCable::Channel
  def subscribed
    super
    stream_from params[:s]
  end

  def transmit(data, via: nil)
    super({ wrapped: data }, via: via)
  end
end
