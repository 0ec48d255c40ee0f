class RoomsController < ApplicationController
  def index
    redirect_to room_path(Room.first)
  end

  def show
    @rooms = Room.order(:id)
    @room = Room.find(params[:id])
    @messages = @room.messages.includes(:user).last(50)
    @notifications = current_user.notifications.unread.includes(message: %i[ user room ])
  end
end
