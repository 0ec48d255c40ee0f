# Leaves things on its thread, and shows what it finds there.
class LeftoversChannel < ApplicationCable::Channel
  def leave(data)
    Leftovers.leave data["name"]
    transmit({ left: true })
  end

  def find
    transmit Leftovers.found
  end
end
