class WitnessTimerChannel < WitnessChannel
  periodically :tick, every: 1

  private
    def tick
      see "tick, Current.person #{Current.person.inspect}"
      Current.person = "the timer"
      transmit({ tick: true })
    end
end
