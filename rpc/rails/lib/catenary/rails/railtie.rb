module Catenary
  module Rails
    class Railtie < ::Rails::Railtie
      config.catenary = ActiveSupport::OrderedOptions.new
      config.catenary.identify = []            # identifiers that catenary may set, in place of connect
      config.catenary.workers = nil            # calls of links that run at once, nil: as config.action_cable.worker_pool_size
      config.catenary.live_limit = 1_000       # connections whose objects a process keeps, about 32 KB each; four times as many that act
      config.catenary.live_seconds = 600       # for which it keeps them unused
      config.catenary.pinned_limit = 10_000    # the same for connections with streams that have a block
      config.catenary.pinned_seconds = 24 * 60 * 60

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

      # Where all is loaded anyhow; else catenary alone says it, if it matters.
      config.after_initialize do |app|
        if app.config.eager_load && own = TurboStreams.new(app).own
          ::Rails.logger&.info "[catenary] #{own}: catenary's turbo.verify_streams has no effect"
        end
      end

      initializer "catenary.action_cable" do
        ActiveSupport.on_load(:action_cable) do
          ActionCable::Server::Base.prepend Mount
          ActionCable::Server::Connections.prepend Unlisted
          Versions::WithoutDriver.prepend_to_socket
        end
        ActiveSupport.on_load(:action_cable_channel) { prepend ChannelStreams }
        ActiveSupport.on_load(:active_job) do
          before_enqueue { Sync.wait }
          ActiveJob.singleton_class.prepend Sync::Enqueuing if ActiveJob.respond_to?(:perform_all_later)
        end
      end
    end
  end
end
