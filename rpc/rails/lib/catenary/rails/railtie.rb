module Catenary
  module Rails
    # Settings of the gem (README.md describes them), and the hooks into Rails.
    class Railtie < ::Rails::Railtie
      config.catenary = ActiveSupport::OrderedOptions.new
      config.catenary.identify = []          # identifiers that catenary may set in place of connect
      config.catenary.catch_up_channels = [] # channels beside Turbo::StreamsChannel whose elements are stamped
      config.catenary.workers = nil          # calls at once; nil: config.action_cable.worker_pool_size
      config.catenary.live_limit = 1_000     # connections kept in memory; four times as many that act
      config.catenary.live_seconds = 600     # for which they are kept unused
      config.catenary.pinned_limit = 10_000  # the same for connections with streams that have a block
      config.catenary.pinned_seconds = 24 * 60 * 60
      config.catenary.history = {}           # by pattern of streams: { limit: 100, ttl: 300 } (docs/history.md)

      rake_tasks { load File.expand_path("audit_task.rb", __dir__) }

      initializer "catenary.middleware" do |app|
        secret = Secret.new(app)
        endpoint = Mount.endpoint = Endpoint.new(app, secret)
        app.middleware.insert_before 0, Middleware, endpoint, Signature.new(secret), Upgrade.new(endpoint, secret)
        app.reloader.before_class_unload { endpoint.live_connections.clear }
      end

      config.after_initialize do
        if defined?(::Sidekiq)
          ::Sidekiq.configure_client { |sidekiq| sidekiq.client_middleware { |chain| chain.add Sync::SidekiqClient } }
        end
      end

      config.after_initialize { |app| Stamps.new(app).install }

      # Only with eager loading: otherwise this would load the channel.
      config.after_initialize do |app|
        if app.config.eager_load && (changes = TurboStreams.new(app).changes)
          ::Rails.logger&.info "[catenary] #{changes}: catenary's turbo.verify_streams has no effect"
        end
      end

      initializer "catenary.action_cable" do
        ActiveSupport.on_load(:action_cable) do
          ActionCable::Server::Base.prepend Mount
          ActionCable::Server::Connections.prepend Unlisted
          Versions::WithoutDriver.prepend_to_socket
        end
        ActiveSupport.on_load(:action_cable_channel) { prepend ChannelStreams, ChannelEvents }
        ActiveSupport.on_load(:active_job) do
          before_enqueue { Sync.wait }
          ActiveJob.singleton_class.prepend Sync::Enqueuing if ActiveJob.respond_to?(:perform_all_later)
        end
      end
    end
  end
end
