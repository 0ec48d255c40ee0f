# As the guide of graphql-ruby has it: what the client executes is answered, and goes on to be answered.
class GraphqlChannel < ApplicationCable::Channel
  def subscribed
    super
    @subscription_ids = []
  end

  # query is any text; topic names the event after which the query is run again.
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
