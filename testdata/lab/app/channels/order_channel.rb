# Does several things in order that reach browsers through different paths.
class OrderChannel < ApplicationCable::Channel
  def subscribed
    super
    stream_from params[:s]
    announce if params[:announce]
  end

  def speak(data)
    transmit({ ack: data["n"] })
    ActionCable.server.broadcast params[:s], { said: data["n"] }
    ActionCable.server.broadcast params[:s], { again: data["n"] } if data["twice"]
  end

  def speak_to_others(data)
    Catenary.except(connection) { speak data }
  end

  # Speaks after this action has returned.
  def speak_later(data)
    Thread.new do
      sleep data["s"]
      speak data
    end
  end

  # The job may broadcast before this action has returned.
  def leave_to_a_job(data)
    transmit({ ack: data["n"] })
    SpeakJob.perform_later params[:s], { said: data["n"] }
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

  private
    def announce
      ActionCable.server.broadcast params[:s], { first: params[:announce] }
      SpeakJob.perform_later params[:s], { second: params[:announce] }
      sleep 0.02
    end
end
