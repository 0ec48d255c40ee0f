require "concurrent/map"

# Subscriptions to queries, designed like graphql-ruby's ActionCableSubscriptions. Queries and their
# context are kept in the memory of the process where the client has subscribed. An event is
# broadcast as text. The block of the first subscription for the same query runs it again, once for
# all of them, and broadcasts the result on a plain stream for each.
class LiveQueries
  include Singleton

  # A query with its context: the channel, and so the connection.
  Subscription = Struct.new(:id, :query, :topic, :channel, :runs) do
    def run(object)
      self.runs += 1
      { query: query, object: object, runs: runs, user: channel.user.id, pid: Process.pid }
    end
  end

  def initialize
    @subscriptions = Concurrent::Map.new
    @events = Concurrent::Map.new { |events, topic| events[topic] = Concurrent::Map.new { |queries, query| queries[query] = Concurrent::Array.new } }
  end

  def subscribe(channel, query, topic)
    subscription = Subscription.new(SecureRandom.uuid, query, topic, channel, 0)
    channel.stream_from results_of(subscription.id)
    @subscriptions[subscription.id] = subscription
    channel.stream_from(self.class.events_of(topic), coder: ActiveSupport::JSON) { |message| deliver subscription, message }
    @events[topic][query] << subscription
    subscription
  end

  def self.trigger(topic, object)
    ActionCable.server.broadcast events_of(topic), object.to_json
  end

  def self.events_of(topic)
    "graphql-event:#{topic}"
  end

  def delete(id)
    return unless subscription = @subscriptions.delete(id)
    @events[subscription.topic][subscription.query].delete(subscription)
    ActionCable.server.broadcast results_of(id), { more: false }
  end

  private
    def deliver(subscription, message)
      same = @events[subscription.topic][subscription.query]
      return unless same.first.equal?(subscription)

      result = subscription.run(JSON.parse(message))
      same.each { |other| ActionCable.server.broadcast results_of(other.id), { result: result, more: true } }
    end

    def results_of(id)
      "graphql-subscription:#{id}"
    end
end
