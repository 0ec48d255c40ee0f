# Counts the connections of its Rails process.
class CensusChannel < ApplicationCable::Channel
  def count
    transmit({ any: ActionCable.server.connections.any? })
  end
end
