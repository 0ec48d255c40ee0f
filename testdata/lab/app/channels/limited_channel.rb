# Limits how often a browser may speak, and numbers what it says.
class LimitedChannel < ApplicationCable::Channel
  def subscribed
    stream_from params[:room]
    @times, @number = [], 0
  end

  def speak(data)
    @times.reject! { |time| time < 1.minute.ago.to_f }
    return transmit({ error: "slow down" }) if @times.size >= 20

    @times << Time.now.to_f
    ActionCable.server.broadcast params[:room], { number: @number += 1, text: data["text"] }
  end
end
