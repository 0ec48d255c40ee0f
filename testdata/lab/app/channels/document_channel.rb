# Relays the updates of a document that several edit at once and that browsers merge, as Yjs does. Who comes is sent all so far,
# and asks once more when the stream is live.
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
