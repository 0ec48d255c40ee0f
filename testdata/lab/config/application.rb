ENV["RAILS_ENV"] ||= "test"

require "logger"
require "rails"
require "action_controller/railtie"
require "active_job/railtie"
require "action_cable/engine"
require "global_id/railtie"
require_relative "database" if ENV["LAB_DATABASE"] == "true"

# Without the gem on the load path this is native Action Cable, the reference. With it, the same
# application runs behind catenary.
begin
  require "catenary-rails"
rescue LoadError => error
  raise unless error.path == "catenary-rails"
end

$LOAD_PATH << File.expand_path("../lib", __dir__) # Action Cable requires the adapter by path

require_relative "../app/models/event_log"
require_relative "environment_variables"
require_relative "leftovers"
require_relative "hooks"
require_relative "maintenance"
require_relative "witness"
require_relative "turbo" if ENV["LAB_TURBO"]
require_relative "accounts" if ENV["LAB_ACCOUNTS"] == "true"

module App
  class Application < Rails::Application
    config.root = File.expand_path("..", __dir__)
    # Also determines the digest of signed stream names: SHA-1 below 7.0, SHA-256 as of 7.0.
    config.load_defaults "#{Rails::VERSION::MAJOR}.#{Rails::VERSION::MINOR}"
    config.cache_classes = ENV["LAB_RELOAD"] != "true" # a reload would close native connections
    config.eager_load = config.cache_classes
    config.secret_key_base = ENV.fetch("SECRET_KEY_BASE") { "0123456789abcdef" * 8 }
    config.hosts.clear
    config.hosts.concat ENV["LAB_HOSTS"].split if ENV["LAB_HOSTS"]
    config.force_ssl = ENV["LAB_FORCE_SSL"] == "true"
    config.ssl_options = { redirect: { exclude: ->(request) { request.path == "/up" } } } # tests request it without TLS
    config.filter_parameters << :token
    config.global_id.app = "app"

    config.logger = ActiveSupport::TaggedLogging.new(Logger.new($stdout, progname: "lab"))
    config.log_level = ENV.fetch("LAB_LOG_LEVEL") { "debug" }.to_sym

    config.event_log = EventLog.new(ENV["LAB_LOG"])

    config.action_cable.cable = EnvironmentVariables.cable
    config.action_cable.mount_path = ENV["LAB_MOUNT_PATH"] if ENV["LAB_MOUNT_PATH"]
    config.middleware.use Accounts::Middleware if defined?(Accounts)
    config.action_cable.allowed_request_origins = EnvironmentVariables.allowed_origins
    config.action_cable.allow_same_origin_as_host = ENV["LAB_SAME_ORIGIN"] != "false"
    config.action_cable.disable_request_forgery_protection = ENV["LAB_DISABLE_FORGERY_PROTECTION"] == "true"

    config.action_cable.worker_pool_size = ENV["LAB_WORKERS"].to_i if ENV["LAB_WORKERS"]
    config.catenary.identify = ENV["LAB_IDENTIFY"].split.map(&:to_sym) if ENV["LAB_IDENTIFY"] && defined?(Catenary)
    config.catenary.catch_up_channels = %w[BoardChannel] if defined?(Catenary)
    config.catenary.live_limit = ENV["LAB_LIVE_LIMIT"].to_i if ENV["LAB_LIVE_LIMIT"] && defined?(Catenary)

    config.catenary.history = JSON.parse(ENV["LAB_HISTORY"]).transform_values(&:symbolize_keys) if ENV["LAB_HISTORY"] && defined?(Catenary)

    config.action_dispatch.rescue_responses["User::NotFound"] = :not_found

    config.action_controller.allow_forgery_protection = false
    config.active_job.queue_adapter = :async # in the test environment, later versions of Rails would not run jobs
    config.i18n.available_locales = %i[en fr]

    config.middleware.use Maintenance

    if Leftovers.enabled?
      config.middleware.use Leftovers::Middleware
      config.action_cable.log_tags = [Leftovers.method(:tag)]
    end

    if Hooks.enabled?
      initializer("hooks") { Hooks.install }
      config.after_initialize { ActionCable.server.config.connection_class = -> { HookedConnection } }
    end

    initializer("tenants") do # see ApplicationCable::Tenanted
      ActionCable::Server::Worker.set_callback :work, :around do |worker, work|
        connection = worker.connection
        connection = connection.connection if connection.respond_to?(:connection) # Rails 8.2
        connection.switched_by("work") { work.call }
      end
    end

    initializer("witness") { |app| Witness.install(app) } if Witness.enabled?
  end
end
