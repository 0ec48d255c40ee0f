# Where everybody points, many times a second. The last word counts.
class CursorsChannel < ApplicationCable::Channel
  def subscribed
    super
    stream_from "cursors:#{params[:board]}"
  end

  def move(data)
    ActionCable.server.broadcast "cursors:#{params[:board]}", { user: user.id, x: data["x"], y: data["y"] }
  end
end
