require "concurrent/map"

# Subscriptions to queries, of the design of graphql-ruby's ActionCableSubscriptions: queries and events are kept in the memory of
# the process where the client subscribed, closures and all. An event is published as a text; the block of the first
# subscription to it runs its query again, once for all that ask the same, and publishes the result on a plain stream of each.
class LiveQueries
  include Singleton

  # A query with its context, which is the channel and so the whole connection.
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
    channel.stream_from(self.class.events_of(topic), coder: ActiveSupport::JSON) { |message| happened subscription, message }
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
    def happened(subscription, message)
      same = @events[subscription.topic][subscription.query]
      return unless same.first.equal?(subscription)

      result = subscription.run(JSON.parse(message))
      same.each { |one| ActionCable.server.broadcast results_of(one.id), { result: result, more: true } }
    end

    def results_of(id)
      "graphql-subscription:#{id}"
    end
end
