class TimerChannel < ApplicationCable::Channel
  periodically :tick, every: 0.3

  private
    def tick
      @ticks = @ticks.to_i + 1
      transmit({ tick: @ticks })
    end
end
