# Notes what surrounds the application's code. For each run of the executor, writes its notes into
# the event log as one entry.
module Witness
  extend self

  # Rescued by the connection's rescue_from.
  class Trouble < StandardError; end

  # Not by default, because it would be measured too.
  def enabled?
    ENV["LAB_WITNESS"] == "true"
  end

  def install(app)
    app.executor.to_run { Thread.current[:witnessed] = [] }
    app.executor.to_complete { Witness.close }
    ActiveSupport::Notifications.subscribe(/\.action_cable\z/) { |name, _, _, _, payload| note "#{name} #{payload.to_json}" }
  end

  def note(text)
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
