module ApplicationCable
  # Writes every callback of every channel into the event log.
  class Channel < ActionCable::Channel::Base
    # A process may serve only some channels (docs/scaling.md).
    before_subscribe do
      unless ENV.fetch("LAB_CHANNELS", self.class.name).split(",").include?(self.class.name)
        reject
        throw :abort
      end
    end

    before_subscribe   { record "before_subscribe" }
    after_subscribe    { record "after_subscribe" }
    before_unsubscribe { record "before_unsubscribe" }
    after_unsubscribe  { record "after_unsubscribe" }

    rescue_from ArgumentError do |error|
      transmit({ rescued: error.message })
    end

    def subscribed
      record "subscribed"
    end

    def unsubscribed
      record "unsubscribed"
    end

    def inherited_action
      transmit({ inherited_action: true })
    end

    private
      def record(event)
        Rails.configuration.event_log.add event: event, channel: self.class.name, identifier: identifier, user: user.try(:id) || user&.to_s
      end
  end
end
