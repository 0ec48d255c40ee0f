class BeforeAbortChannel < ApplicationCable::Channel
  before_subscribe { throw :abort }

  def echo(data)
    transmit data
  end
end
