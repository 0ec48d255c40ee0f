# Announces itself to all subscribers of the stream including itself, as in many tutorials. follow
# does the same from an action.
class JoinChannel < ApplicationCable::Channel
  def subscribed
    super
    join params[:s]
  end

  def follow(data)
    join data["s"]
  end

  private
    def join(name)
      stream_from name
      ActionCable.server.broadcast name, { joined: params[:who] }
      ActionCable.server.broadcast name, { counted: params[:who] }
    end
end
