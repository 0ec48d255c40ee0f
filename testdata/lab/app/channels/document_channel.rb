# Relays updates of a document that several browsers edit and merge, as Yjs does. A new subscriber
# is sent all updates so far, and asks again when the stream is live.
class DocumentChannel < ApplicationCable::Channel
  def subscribed
    super
    stream_from document
    sync({ "known" => 0 })
  end

  def sync(data)
    transmit({ sync: Store.redis.lrange(document, data["known"], -1) })
  end

  def receive(data)
    Store.redis.rpush document, data["update"]
    ActionCable.server.broadcast document, { update: data["update"] }
  end

  private
    def document
      "document:#{params[:id]}"
    end
end
