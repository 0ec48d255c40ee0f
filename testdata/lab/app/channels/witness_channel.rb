# Notes what surrounds its commands: callbacks, log tags, Current, exceptions.
class WitnessChannel < ApplicationCable::Channel
  before_subscribe   { throw :abort if params[:abort] == "subscribe" }
  before_unsubscribe { throw :abort if params[:abort] == "unsubscribe" }
  after_subscribe :witness_subscription, unless: :subscription_rejected?

  rescue_from KeyError do |error|
    Witness.note "the channel rescues #{error.message}"
    transmit({ channel_rescued: error.message })
  end

  def subscribed
    super
    see "Current.person #{Current.person.inspect}"
    Current.person = "subscribed"
    raise Witness::Trouble, "subscribed failed" if params[:raise] == "subscribed"
    raise KeyError, "subscribed failed" if params[:raise] == "for the channel"
    reject if params[:reject]
  end

  def unsubscribed
    super
    raise Witness::Trouble, "unsubscribed failed" if params[:raise] == "unsubscribed"
  end

  def look(data)
    see "Current.person #{Current.person.inspect}"
    Current.person = data["person"]
    logger.info "looks for #{data["person"]}"
    Rails.logger.info "and Rails' logger too"
    ActionCable.server.broadcast "nobody", { heard: false }
    transmit({ looked: data["person"] })
  end

  def lock
    connection.lock
    transmit({ locked: true })
  end

  def fail_for_channel
    raise KeyError, "for the channel"
  end

  def fail_for_connection
    raise Witness::Trouble, "for the connection"
  end

  def fail_for_nobody
    raise IOError, "for nobody"
  end

  private
    def witness_subscription
      see "after_subscribe, by name"
    end

    # In place of the event of the base class.
    def record(event)
      see event
    end

    def see(text)
      Witness.note text
    end
end
