require "redis"

# Counts who is there, as applications do.
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
      @@redis ||= Redis.new(url: ENV["REDIS_URL"])
      @@redis.incrby "present:#{params[:room]}", by
    end
end
