module Catenary
  module Rails
    # The effective content of config/cable.yml: what Rails and the redis gem make of it. catenary
    # must connect to the same Redis and use the same prefix.
    class CableSettings
      ADDRESS_KEYS = %w[url host port path].freeze

      # cable: ActionCable.server.config.cable.
      def initialize(cable)
        @cable = cable
      end

      def to_h
        settings = to_plain(@cable.to_h.reject { |key, _| ignored_keys.include?(key.to_s) })
        settings["url"] = ENV["REDIS_URL"] if redis_url?(settings)
        settings
      end

      private
        # Rails' adapter overwrites "id". It reads the prefix as a symbol, and so misses one under a
        # string key of a plain Hash.
        def ignored_keys
          ["id", ("channel_prefix" if @cable[:channel_prefix].nil?)]
        end

        # Whether the redis gem uses REDIS_URL. Version 4 does unless there is a url, later versions
        # only if nothing else gives an address.
        def redis_url?(settings)
          return false unless ENV["REDIS_URL"] && settings.fetch("adapter", "redis") == "redis"
          redis_gem < 5 ? settings["url"].nil? : ADDRESS_KEYS.none? { |key| settings.key?(key) }
        end

        # The major version.
        def redis_gem
          (defined?(::Redis::VERSION) ? ::Redis::VERSION : ::Gem.loaded_specs["redis"]&.version || 5).to_s.to_i
        end

        # Numbers, symbols and dates as the text that they become in a stream's name or for Redis.
        def to_plain(value)
          case value
          when Hash then value.to_h { |key, item| [key.to_s, to_plain(item)] }
          when Array then value.map { |item| to_plain(item) }
          when String, true, false, nil then value
          when Numeric, Symbol, Pathname, URI, Date, Time then value.to_s
          end
        end
    end
  end
end
