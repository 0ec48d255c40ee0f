class WitnessStreamChannel < WitnessChannel
  def subscribed
    super
    stream_from("witnessed", coder: ActiveSupport::JSON) { |message| hear message }
  end

  private
    def hear(message)
      see "heard, Current.person #{Current.person.inspect}"
      Current.person = "the block"
      transmit({ heard: message })
    end
end
