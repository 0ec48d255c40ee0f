require "active_support/fork_tracker"

module Catenary
  module Rails
    # Answers calls that come by POST, and owns what all calls of a process share.
    class Endpoint
      SUPPORTED = [1].freeze # versions of the POST

      attr_reader :process, :live_connections, :handover, :state, :links, :workers, :handshake_threads
      attr_accessor :proof_seconds # see Link

      def initialize(app, secret)
        @app = app
        @process = ProcessName.new
        @live_connections = LiveConnections.new(app.config.catenary) { |live| @handover.hand_over(live) }
        @handover = Handover.new(@live_connections)
        @state = State.new(secret)
        @settings = Settings.new(app)
        @links = Links.new(self)
        @workers = new_workers
        @handshake_threads = HandshakeThreads.new
        @proof_seconds = Link::PROOF_SECONDS
        ActiveSupport::ForkTracker.after_fork { forked }
      end

      # The identifiers that catenary may set.
      def identify
        @app.config.catenary.identify
      end

      # body: the JSON of a request whose signature is valid. trusted: whether the reply may contain
      # a password. Returns the HTTP status and the reply.
      def answer(body, env, trusted:)
        request = JSON.parse(body)
        return [400, { error: "version", supported: SUPPORTED }] unless SUPPORTED.include?(request["v"])

        calls = request["calls"] || []
        reload if reloads? && calls.any?
        results = calls.any? ? @workers.run { calls.map { |call| Call.new(self, call, env).result } } : []
        reply = { v: 1, process: @process.to_s, results: results }
        reply[:settings] = @settings.to_h(trusted: trusted, env: env) if calls.empty?
        [200, reply]
      rescue JSON::ParserError
        [400, { error: "json" }]
      end

      # The content of a link's first frame.
      def hello(env, trusted:)
        { process: @process.to_s, workers: @workers.limit, **PumaWorker.to_h, settings: @settings.to_h(trusted: trusted, env: env) }
      end

      # Whether the application reloads code, as in development.
      def reloads?
        !@app.config.cache_classes
      end

      # Reloads code that has changed. To be called before any object of a connection is in use.
      def reload
        @app.reloader.wrap { }
      end

      private
        def new_workers
          Workers.new(-> { @app.config.catenary.workers || ActionCable.server.config.worker_pool_size })
        end

        # In the child.
        def forked
          @links.abandon
          @workers = new_workers
          @handshake_threads = HandshakeThreads.new
          @live_connections.clear
          @handover = Handover.new(@live_connections)
        end
    end
  end
end
