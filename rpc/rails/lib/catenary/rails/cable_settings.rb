module Catenary
  module Rails
    # The content of config/cable.yml as Rails and the redis gem take it, for catenary, which must come to the same.
    class CableSettings
      PLACES = %w[url host port path].freeze

      # cable: ActionCable.server.config.cable.
      def initialize(cable)
        @cable = cable
      end

      def to_h
        told = plain(@cable.to_h.reject { |key, _| unused.include?(key.to_s) })
        told["url"] = ENV["REDIS_URL"] if redis_url?(told)
        told
      end

      private
        # A prefix under a text key of a plain Hash is not seen by the adapter. The connection's name the adapter writes there.
        def unused
          ["id", ("channel_prefix" if @cable[:channel_prefix].nil?)]
        end

        # Version 4 of the redis gem looks at it unless there is a url, later ones only where nothing says where Redis is.
        def redis_url?(told)
          return false unless ENV["REDIS_URL"] && told.fetch("adapter", "redis") == "redis"
          redis_gem < 5 ? told["url"].nil? : PLACES.none? { |place| told.key?(place) }
        end

        def redis_gem
          (defined?(::Redis::VERSION) ? ::Redis::VERSION : ::Gem.loaded_specs["redis"]&.version || 5).to_s.to_i
        end

        # Numbers and the like as the text that they become in the name of a stream, or on the way to Redis.
        def plain(value)
          case value
          when Hash then value.to_h { |key, item| [key.to_s, plain(item)] }
          when Array then value.map { |item| plain(item) }
          when String, true, false, nil then value
          when Numeric, Symbol, Pathname, URI, Date, Time then value.to_s
          end
        end
    end
  end
end
