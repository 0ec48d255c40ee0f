# Broadcasts who is here and who is away. A user may have several tabs, in different processes.
class AppearanceChannel < ApplicationCable::Channel
  def subscribed
    super
    Store.redis.hincrby tabs, user.id, 1
    stream_from tabs
  end

  def unsubscribed
    super
    Store.redis.hincrby tabs, user.id, -1
    announce
  end

  def appear
    Store.redis.hdel idle, user.id
    announce
  end

  def away
    Store.redis.hset idle, user.id, 1
    announce
  end

  private
    def announce
      present = Store.redis.hgetall(tabs).select { |_, count| count.to_i.positive? }.keys.sort
      away = present & Store.redis.hkeys(idle)
      ActionCable.server.broadcast tabs, { here: present - away, away: away }
    end

    def tabs
      "tabs:#{params[:room]}"
    end

    def idle
      "idle:#{params[:room]}"
    end
end
