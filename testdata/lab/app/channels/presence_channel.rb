# Counts its subscribers in Redis, as applications do.
class PresenceChannel < ApplicationCable::Channel
  def subscribed
    super
    count 1
  end

  def unsubscribed
    super
    count(-1)
  end

  private
    def count(by)
      Store.redis.incrby "present:#{params[:room]}", by
    end
end
