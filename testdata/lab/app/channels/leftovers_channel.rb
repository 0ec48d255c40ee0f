# Leaves state on its thread, and transmits what it finds there.
class LeftoversChannel < ApplicationCable::Channel
  def leave(data)
    Leftovers.leave data["name"]
    transmit({ left: true })
  end

  def find
    transmit Leftovers.found
  end
end
