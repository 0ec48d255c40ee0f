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

      # URI would reject some query strings that browsers send.
      URL = %r{\A(?:http|ws)(?<secure>s)?://(?<host>\[[^\]]*\]|[^/?\#:]*)(?::(?<port>\d+))?(?<path>[^?\#]*)(?:\?(?<query>[^\#]*))?}

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
          [status, pairs(headers), text(body)]
        end
      end

      # The Rack environment before any middleware. Raises ArgumentError for a relative URL.
      def env
        match = URL.match(@request.fetch("url")) or raise ArgumentError, "the handshake's url is not absolute"
        scheme = match[:secure] ? "https" : "http"
        path = match[:path].presence || "/"

        env = @env.slice(*SERVER_KEYS).merge!(
          "REQUEST_METHOD" => @request.fetch("method", "GET"), "PATH_INFO" => path_info(path), "QUERY_STRING" => match[:query].to_s,
          "REQUEST_PATH" => path, "REQUEST_URI" => [path, match[:query]].compact.join("?"),
          "SERVER_NAME" => match[:host], "SERVER_PORT" => match[:port] || (match[:secure] ? "443" : "80"),
          "SERVER_PROTOCOL" => "HTTP/1.1", "HTTP_VERSION" => "HTTP/1.1", "HTTP_HOST" => [match[:host], match[:port]].compact.join(":"),
          "REMOTE_ADDR" => @request.fetch("ip", ""), "rack.url_scheme" => scheme, "rack.hijack?" => false, "rack.input" => StringIO.new("".b)
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
            key = name.upcase.tr("-", "_")
            key = "HTTP_#{key}" unless key == "CONTENT_TYPE" || key == "CONTENT_LENGTH"
            separator = key == "HTTP_COOKIE" ? "; " : ", "
            headers[key] = headers.key?(key) ? "#{headers[key]}#{separator}#{value}" : value
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
