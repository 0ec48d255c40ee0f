# Does one thing after the other, of which browsers hear by different ways.
class OrderChannel < ApplicationCable::Channel
  def subscribed
    super
    stream_from params[:s]
  end

  def speak(data)
    transmit({ ack: data["n"] })
    ActionCable.server.broadcast params[:s], { said: data["n"] }
  end

  def leave
    transmit({ bye: 1 })
    ActionCable.server.remote_connections.where(user: user, tenant: tenant).disconnect
  end

  def count(data)
    data["to"].times do |n|
      transmit({ n: n })
      sleep data["s"]
    end
  end
end
