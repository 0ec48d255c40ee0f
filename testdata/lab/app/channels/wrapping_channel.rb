# Wraps every message of its stream: transmit is Rails' way of delivering it.
class WrappingChannel < ApplicationCable::Channel
  def subscribed
    super
    stream_from params[:s]
  end

  def transmit(data, via: nil)
    super({ wrapped: data }, via: via)
  end
end
