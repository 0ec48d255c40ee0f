class RaiseUnsubChannel < ApplicationCable::Channel
  def unsubscribed
    super
    raise "unsubscribed failed, as asked"
  end

  def echo(data)
    transmit data
  end
end
