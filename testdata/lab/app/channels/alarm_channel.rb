# Sets a timer of its own on the event loop, where periodically would have done.
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
