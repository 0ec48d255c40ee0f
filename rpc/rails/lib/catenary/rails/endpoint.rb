module Catenary
  module Rails
    # Answers the calls of one request; owns what the calls of a process share.
    class Endpoint
      SUPPORTED = [1].freeze

      attr_reader :boot, :late_effects, :early_flush, :live_connections, :state

      def initialize(app, secret)
        @app = app
        @boot = Boot.new
        @late_effects = LateEffects.new
        @early_flush = EarlyFlush.new
        @live_connections = LiveConnections.new(app.config.catenary)
        @state = State.new(secret)
        @settings = Settings.new(app)
      end

      # The identifiers that catenary may set.
      def identify
        @app.config.catenary.identify
      end

      # body: the JSON of a request whose signature is right. trusted: whether the reply may carry a password. Returns the
      # HTTP status and the reply.
      def answer(body, env, trusted:)
        request = JSON.parse(body)
        return [400, { error: "version", supported: SUPPORTED }] unless SUPPORTED.include?(request["v"])

        calls = request["calls"] || []
        reload unless calls.empty? || @app.config.cache_classes
        reply = { v: 1, boot: @boot.name, results: calls.map { |call| Call.new(self, call, request["node"], env).result } }
        reply[:settings] = @settings.to_h(trusted: trusted) if calls.empty?
        [200, reply]
      rescue JSON::ParserError
        [400, { error: "json" }]
      end

      private
        # What was edited in development takes effect, before any object of a connection is in use.
        def reload
          @app.reloader.wrap { }
        end
    end
  end
end
