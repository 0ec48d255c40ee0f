# Lists all subscriptions of its connection.
class SiblingsChannel < ApplicationCable::Channel
  def list
    transmit({ siblings: connection.subscriptions.identifiers })
  end
end
