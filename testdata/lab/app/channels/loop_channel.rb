# Loops until another command of the same browser stops it, or for three seconds.
class LoopChannel < ApplicationCable::Channel
  def start
    rounds = 0
    loop do
      sleep 0.05
      break if @stopped || (rounds += 1) == 60
    end
    transmit({ stopped: @stopped.present? })
  end

  def stop
    @stopped = true
  end
end
