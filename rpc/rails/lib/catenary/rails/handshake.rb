module Catenary
  module Rails
    # A browser's handshake as a Rack request. It goes through the application's whole middleware
    # stack, so that hosts, SSL, session, cookies, authentication and route constraints decide as
    # they do natively.
    class Handshake
      # What the handshake takes over from the environment of the POST or the upgrade, because it
      # describes the server and not the request.
      SERVER_KEYS = %w[
        rack.version rack.errors rack.multithread rack.multiprocess rack.run_once rack.logger SERVER_SOFTWARE GATEWAY_INTERFACE SCRIPT_NAME
      ].freeze

      HIJACKED = -1 # the status of Action Cable's response if it accepts a handshake

      # URI would reject some query strings that browsers send.
      URL = %r{\A(?:http|ws)(?<secure>s)?://(?<host>\[[^\]]*\]|[^/?\#:]*)(?::(?<port>\d+))?(?<path>[^?\#]*)(?:\?(?<query>[^\#]*))?}

      # The name of a header in the environment.
      def self.key(header)
        key = header.upcase.tr("-", "_")
        key == "CONTENT_TYPE" || key == "CONTENT_LENGTH" ? key : "HTTP_#{key}"
      end

      # Those of the headers that almost every handshake has, as catenary spells them.
      KEYS = %w[
        Host Origin Cookie Connection Upgrade User-Agent Accept-Encoding Accept-Language Cache-Control Pragma
        Sec-Websocket-Version Sec-Websocket-Key Sec-Websocket-Protocol Sec-Websocket-Extensions
        Sec-Fetch-Dest Sec-Fetch-Mode Sec-Fetch-Site X-Forwarded-For X-Forwarded-Proto X-Forwarded-Host X-Real-Ip X-Request-Id
      ].to_h { |header| [header.freeze, key(header).freeze] }.freeze

      # request: see docs/rpc.md. env: of the POST or the upgrade. traceparent: the call's, or nil.
      def initialize(request, env, traceparent)
        @request, @env, @traceparent = request, env, traceparent
      end

      # Calls the application on one of the threads. The block takes Action Cable's place behind the
      # middleware: it gets the ActionCable server and the environment. Returns status, headers and
      # body, from the block or from a middleware that has answered itself.
      def enter(app, threads, &handler)
        threads.run do
          status, headers, body = app.call(env.merge!(Mount::HANDLER => handler))
          [status, status == HIJACKED ? [] : pairs(headers), text(body)]
        end
      end

      # The Rack environment before any middleware. Raises ArgumentError for a relative URL.
      def env
        match = URL.match(@request.fetch("url")) or raise ArgumentError, "the handshake's url is not absolute"
        secure, host, port, path, query = match.captures
        path = "/" if path.empty?

        env = @env.slice(*SERVER_KEYS).merge!(
          "REQUEST_METHOD" => @request.fetch("method", "GET"), "PATH_INFO" => path_info(path), "QUERY_STRING" => query.to_s,
          "REQUEST_PATH" => path, "REQUEST_URI" => query ? "#{path}?#{query}" : path.dup,
          "SERVER_NAME" => host, "SERVER_PORT" => port || (secure ? "443" : "80"),
          "SERVER_PROTOCOL" => "HTTP/1.1", "HTTP_VERSION" => "HTTP/1.1", "HTTP_HOST" => port ? "#{host}:#{port}" : host,
          "REMOTE_ADDR" => @request.fetch("ip", ""), "rack.url_scheme" => secure ? "https" : "http", "rack.hijack?" => false, "rack.input" => StringIO.new("".b)
        ).merge!(headers)
        Trace.replace(env, Trace::PARENT => @traceparent) if @traceparent
        env
      end

      private
        # Without the prefix below which the application runs, as Puma does it.
        def path_info(path)
          prefix = @env["SCRIPT_NAME"].to_s
          path.start_with?("#{prefix}/") ? path.delete_prefix(prefix) : path
        end

        # Drops names with an underscore, which could pass for another header.
        def headers
          @request.fetch("headers", []).each_with_object({}) do |(name, value), headers|
            next if name.include?("_")
            key = KEYS[name] || Handshake.key(name)
            headers[key] = headers.key?(key) ? [headers[key], value].join(key == "HTTP_COOKIE" ? "; " : ", ") : value
          end
        end

        # Rack 2 separates several values of a header with line feeds, Rack 3 has arrays.
        def pairs(headers)
          headers.to_h.flat_map do |name, value|
            Array(value).flat_map { |item| item.to_s.split("\n") }.map { |item| [name, item] }
          end
        end

        def text(body)
          (+"").b.tap { |text| body.each { |part| text << part.b } }.force_encoding(Encoding::UTF_8).scrub
        ensure
          body.close if body.respond_to?(:close)
        end
    end
  end
end
