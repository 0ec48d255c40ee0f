class RaiseChannel < ApplicationCable::Channel
  def subscribed
    super
    stream_from params[:s] if params[:s]
    raise "subscribed failed, as asked"
  end

  def echo(data)
    transmit data
  end
end
