module Catenary
  module Rails
    # The application's settings that concern catenary (docs/rpc.md, "Settings"). With them catenary
    # needs to be configured with nothing but the application's address and the secret.
    class Settings
      def initialize(app)
        @app = app
      end

      # trusted: whether the carrier may transport a password. env: of the request, for SCRIPT_NAME,
      # the path below which the application runs.
      def to_h(trusted:, env: {})
        @prefix = env["SCRIPT_NAME"]
        @app.executor.wrap do
          {
            time: Time.now.to_f, rails: ::Rails.version, gem: VERSION, environment: ::Rails.env.to_s,
            mount_path: mount_paths.first, mount_paths: mount_paths, threads: threads,
            local_broadcasts: Listening.local? || nil,
            cable: (CableSettings.new(config.cable).to_h if trusted),
            identifiers: ActionCable.server.connection_identifiers.to_a,
            identify: Array(@app.config.catenary.identify),
            global_id_app: (GlobalID.app if defined?(GlobalID)),
            turbo: TurboStreams.new(@app).to_h,
            history: History.new(@app).to_h
          }.merge!(origins).compact
        end
      end

      private
        def origins
          {
            allowed_request_origins: Array(config.allowed_request_origins).map { |origin| origin.is_a?(String) ? origin : origin.inspect },
            allow_same_origin_as_host: config.allow_same_origin_as_host || nil,
            disable_request_forgery_protection: config.disable_request_forgery_protection || nil,
            forwarded_host: Versions::OWN_HOST_IS_FORWARDED || nil,
            assume_ssl: (@app.config.respond_to?(:assume_ssl) && @app.config.assume_ssl) || nil,
            force_ssl: @app.config.force_ssl || nil, hosts: hosts
          }
        end

        # nil if every host is allowed.
        def hosts
          Array(@app.config.hosts).map { |host| host.is_a?(String) ? host : host.inspect }.presence
        end

        def config
          ActionCable.server.config
        end

        # config.action_cable.mount_path, then those of the routes. A dynamic segment becomes *.
        def mount_paths
          routed = @app.routes.routes.filter_map { |route| path_of(route) if cable?(route) }
          [@app.config.action_cable.mount_path, *routed].compact.map { |path| "#{@prefix}#{path}" }.uniq
        end

        def cable?(route)
          route.app.respond_to?(:app) && route.app.app.equal?(ActionCable.server)
        end

        def path_of(route)
          route.path.spec.to_s.delete_suffix("(.:format)").gsub(/[:*]\w+/, "*")
        end

        # Requests that all processes of the web server can answer at once; nil if unknown.
        def threads
          per_process, processes = puma || [ENV["RAILS_MAX_THREADS"], ENV["WEB_CONCURRENCY"]]
          per_process.to_i * [processes.to_i, 1].max if per_process.to_i > 0
        end

        def puma
          options = ::Puma.cli_config&.options if defined?(::Puma) && ::Puma.respond_to?(:cli_config)
          [options[:max_threads], options[:workers]] if options && options[:max_threads]
        end
    end
  end
end
