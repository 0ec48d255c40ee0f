class SlowSubChannel < ApplicationCable::Channel
  def subscribed
    super
    sleep params[:sleep].to_f
  end

  def echo(data)
    transmit data
  end
end
