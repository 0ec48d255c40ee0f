# Writes down what surrounds the application's code: one entry of the event log for each run of the executor in which anything
# was seen, and what was seen in it, in order.
module Witness
  extend self

  # For rescue_from.
  class Trouble < StandardError; end

  # Only where asked for: otherwise it would be measured too.
  def wanted?
    ENV["LAB_WITNESS"] == "true"
  end

  def watch(app)
    app.executor.to_run { Thread.current[:witnessed] = [] }
    app.executor.to_complete { Witness.close }
    ActiveSupport::Notifications.subscribe(/\.action_cable\z/) { |name, _, _, _, payload| see "#{name} #{payload.to_json}" }
  end

  def see(text)
    seen = Thread.current[:witnessed]
    seen ? seen << text : add(["outside of the executor: #{text}"])
  end

  def close
    seen = Thread.current[:witnessed]
    Thread.current[:witnessed] = nil
    add seen if seen.present?
  end

  private
    def add(seen)
      Rails.configuration.event_log.add event: "witnessed", user: "witness", seen: seen
    end
end
