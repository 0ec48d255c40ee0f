# Broadcasts where everybody points, many times a second. Only the last position matters.
class CursorsChannel < ApplicationCable::Channel
  def subscribed
    super
    stream_from "cursors:#{params[:board]}"
  end

  def move(data)
    ActionCable.server.broadcast "cursors:#{params[:board]}", { user: user.id, x: data["x"], y: data["y"] }
  end
end
