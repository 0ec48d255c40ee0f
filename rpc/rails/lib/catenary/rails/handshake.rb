module Catenary
  module Rails
    # The browser's handshake as a Rack request, which goes through the whole stack of the application, so that hosts, SSL,
    # session, cookies, authentication and route constraints decide as they do natively.
    class Handshake
      # Of the environment of the call or the link: what belongs to the server, not to the request.
      SERVERS = %w[
        rack.version rack.errors rack.multithread rack.multiprocess rack.run_once rack.logger SERVER_SOFTWARE GATEWAY_INTERFACE SCRIPT_NAME
      ].freeze

      # Not with URI, which refuses what browsers send in a query.
      URL = %r{\A(?:http|ws)(?<secure>s)?://(?<host>\[[^\]]*\]|[^/?\#:]*)(?::(?<port>\d+))?(?<path>[^?\#]*)(?:\?(?<query>[^\#]*))?}

      # request: as docs/rpc.md has it. env: of the POST or the upgrade that brought it. traceparent: the call's, or nil.
      def initialize(request, env, traceparent)
        @request, @env, @traceparent = request, env, traceparent
      end

      # Calls the application; the block is what Action Cable does, with its server and the environment. Returns status,
      # headers and body of the answer, which is the block's unless the application's middleware answered instead.
      #
      # Natively this is on a thread of the web server's. Here it has one of its own: it finds nothing that a command has left
      # (a locale, a role of the database), and no command finds what middleware leaves.
      def enter(app, &arrival)
        FreshThread.run do
          Thread.current.name = "catenary handshake"
          status, headers, body = app.call(env.merge!(Mount::ARRIVAL => arrival))
          [status, pairs(headers), text(body)]
        end
      end

      # The Rack environment, before any middleware.
      def env
        match = URL.match(@request.fetch("url")) or raise ArgumentError, "the handshake's url is not absolute"
        scheme = match[:secure] ? "https" : "http"
        path = match[:path].presence || "/"

        @env.slice(*SERVERS).merge!(
          "REQUEST_METHOD" => @request.fetch("method", "GET"), "PATH_INFO" => info(path), "QUERY_STRING" => match[:query].to_s,
          "REQUEST_PATH" => path, "REQUEST_URI" => [path, match[:query]].compact.join("?"),
          "SERVER_NAME" => match[:host], "SERVER_PORT" => match[:port] || (match[:secure] ? "443" : "80"),
          "SERVER_PROTOCOL" => "HTTP/1.1", "HTTP_VERSION" => "HTTP/1.1", "HTTP_HOST" => [match[:host], match[:port]].compact.join(":"),
          "REMOTE_ADDR" => @request.fetch("ip", ""), "rack.url_scheme" => scheme, "rack.hijack?" => false, "rack.input" => StringIO.new("".b)
        ).merge!(headers).tap { |env| Trace.replace(env, Trace::PARENT => @traceparent) if @traceparent }
      end

      private
        # As Puma has it: without the prefix at which the application runs.
        def info(path)
          prefix = @env["SCRIPT_NAME"].to_s
          path.start_with?("#{prefix}/") ? path.delete_prefix(prefix) : path
        end

        # A name with an underscore could pass for another header.
        def headers
          @request.fetch("headers", []).each_with_object({}) do |(name, value), headers|
            next if name.include?("_")
            key = name.upcase.tr("-", "_")
            key = "HTTP_#{key}" unless key == "CONTENT_TYPE" || key == "CONTENT_LENGTH"
            headers[key] = headers.key?(key) ? "#{headers[key]}#{key == "HTTP_COOKIE" ? "; " : ", "}#{value}" : value
          end
        end

        # Rack 2 parts several values of a header with line feeds, Rack 3 has arrays.
        def pairs(headers)
          headers.to_h.flat_map { |name, value| Array(value).flat_map { |one| one.to_s.split("\n") }.map { |one| [name, one] } }
        end

        def text(body)
          (+"").b.tap { |text| body.each { |part| text << part.b } }.force_encoding(Encoding::UTF_8).scrub
        ensure
          body.close if body.respond_to?(:close)
        end
    end
  end
end
