# The channel of graphql-ruby's guide: answers a query, and again after each of its events.
class GraphqlChannel < ApplicationCable::Channel
  def subscribed
    super
    @subscription_ids = []
  end

  # query: any text. topic: the event after which the query runs again.
  def execute(data)
    subscription = LiveQueries.instance.subscribe(self, data["query"], data["topic"])
    @subscription_ids << subscription.id
    transmit({ result: subscription.run(nil), more: true })
  end

  def unsubscribed
    super
    @subscription_ids.each { |id| LiveQueries.instance.delete(id) }
  end
end
