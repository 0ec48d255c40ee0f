# State that code leaves on its thread, and that later code finds there. Writes into the event log
# what a handshake finds.
module Leftovers
  extend self

  # With ?leave=NAME a handshake leaves something on its thread.
  class Middleware
    def initialize(app)
      @app = app
    end

    def call(env)
      request = ActionDispatch::Request.new(env)
      if request.path == "/cable"
        Leftovers.note "middleware", request
        Leftovers.leave request.params[:leave] if request.params[:leave]
      end
      @app.call(env)
    end
  end

  def enabled?
    ENV["LAB_LEFTOVERS"] == "true"
  end

  # For config.action_cable.log_tags.
  def tag(request)
    note "log tag", request
    "leftovers"
  end

  def note(where, request)
    Rails.configuration.event_log.add event: where, user: request.params[:uid], upgrade: request.headers["HTTP_UPGRADE"], found: found
  end

  def leave(name)
    I18n.locale = :fr
    Time.zone = "Tokyo"
    Current.person = name
    Thread.current[:lab] = name
    Thread.current.thread_variable_set :lab, name
    Fiber[:lab] = name if Fiber.respond_to?(:[]=)
    if defined?(ActiveRecord)
      writing { |connection| connection.enable_query_cache! }
      ActiveRecord::Base.connecting_to role: :reading, shard: :other
    end
  end

  def found
    found = { locale: I18n.locale, zone: Time.zone.name, person: Current.person, local: Thread.current[:lab], variable: Thread.current.thread_variable_get(:lab) }
    found[:storage] = Fiber[:lab] if Fiber.respond_to?(:[])
    if defined?(ActiveRecord)
      found[:role], found[:shard] = ActiveRecord::Base.current_role, ActiveRecord::Base.current_shard
      found[:query_cache] = writing { |connection| connection.query_cache_enabled }
    end
    found
  end

  private
    def writing
      ActiveRecord::Base.connected_to(role: :writing, shard: :default) { yield ActiveRecord::Base.connection }
    end
end
