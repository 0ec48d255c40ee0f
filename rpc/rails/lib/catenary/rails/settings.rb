module Catenary
  module Rails
    # What the application tells of itself, so that catenary needs no more than its address and the secret.
    class Settings
      def initialize(app)
        @app = app
      end

      # trusted: whether the way back may carry a password.
      def to_h(trusted:)
        @app.executor.wrap do
          {
            rails: ::Rails.version, gem: VERSION, environment: ::Rails.env.to_s, mount_path: mount_path, threads: threads,
            cable: (plain(cable) if trusted), local_broadcasts: Listening.local? || nil, identifiers: ActionCable.server.connection_identifiers.to_a,
            identify: Array(@app.config.catenary.identify), global_id_app: (GlobalID.app if defined?(GlobalID)), turbo: TurboStreams.new(@app).to_h
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

        # nil: any.
        def hosts
          Array(@app.config.hosts).map { |host| host.is_a?(String) ? host : host.inspect }.presence
        end

        def config
          ActionCable.server.config
        end

        # As Rails reads it: a prefix under a text key of a plain Hash is not seen by the adapter. Less the connection's name,
        # which the adapter writes there.
        def cable
          unused = ["id", ("channel_prefix" if config.cable[:channel_prefix].nil?)]
          config.cable.to_h.reject { |key, _| unused.include?(key.to_s) }
        end

        def mount_path
          @app.config.action_cable.mount_path || mounted_by_hand
        end

        def mounted_by_hand
          route = @app.routes.routes.find { |candidate| candidate.app.respond_to?(:app) && candidate.app.app.equal?(ActionCable.server) }
          route&.path&.spec&.to_s&.delete_suffix("(.:format)")
        end

        # Requests that all processes of the server can answer at once; nil if it cannot be known.
        def threads
          per_process, processes = puma || [ENV["RAILS_MAX_THREADS"], ENV["WEB_CONCURRENCY"]]
          per_process.to_i * [processes.to_i, 1].max if per_process.to_i > 0
        end

        def puma
          options = ::Puma.cli_config&.options if defined?(::Puma) && ::Puma.respond_to?(:cli_config)
          [options[:max_threads], options[:workers]] if options && options[:max_threads]
        end

        def plain(value)
          case value
          when Hash then value.to_h { |key, item| [key.to_s, plain(item)] }
          when Array then value.map { |item| plain(item) }
          when String, Numeric, true, false, nil then value
          when Symbol, Pathname, URI then value.to_s
          end
        end
    end
  end
end
