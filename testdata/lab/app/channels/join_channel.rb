# Tells everyone who streams along, itself included, that it has come: what tutorials do. follow does the same from an action.
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
