# Listens in a room without joining it.
class CrowdChannel < ApplicationCable::Channel
  def subscribed
    stream_from RoomChannel.broadcasting_for(Room.find(params[:room_id]))
  end
end
