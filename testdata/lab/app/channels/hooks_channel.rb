# Uses everything that Action Cable calls: streams, a block, a timer, actions.
class HooksChannel < ActionCable::Channel::Base
  periodically :nothing, every: 300

  def subscribed
    stream_from "hooks"
    stream_from("hooked") { |message| transmit({ heard: message }) }
  end

  def echo(data)
    transmit data
  end

  def stop
    stop_stream_from "hooks"
    transmit({ stopped: true })
  end

  def leave
    connection.close
  end

  private
    def nothing
    end
end
