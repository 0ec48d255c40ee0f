class RoomChannel < ApplicationCable::Channel
  def subscribed
    @room = Room.find_by(id: params[:room_id])
    return reject unless @room

    stream_for @room
    broadcast_to @room, type: "joined", user: current_user.name
  end

  def unsubscribed
    broadcast_to @room, type: "left", user: current_user.name if @room
  end

  def speak(data)
    @room.messages.create user: current_user, body: data["body"]
  end

  def typing
    broadcast_to @room, type: "typing", user: current_user.name
  end
end
