# Sets a timer on the event loop, instead of using periodically.
class AlarmChannel < ApplicationCable::Channel
  def subscribed
    super
    @alarm = connection.server.event_loop.timer(0.2) { transmit({ alarm: true }) }
  end

  def unsubscribed
    super
    @alarm&.shutdown
  end
end
