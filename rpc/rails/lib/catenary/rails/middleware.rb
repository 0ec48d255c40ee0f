module Catenary
  module Rails
    # The outermost middleware. Answers catenary's calls and opens its links; passes on every other
    # request unchanged.
    class Middleware
      BODY_LIMIT = 32 * 1024 * 1024 # bytes
      LOCAL = /\A(?:(?:::ffff:)?127\.\d+\.\d+\.\d+|::1|unix:?|)\z/

      # Whether a proxy states that it has forwarded the request.
      def self.forwarded?(env)
        env.key?("HTTP_FORWARDED") || env.key?("HTTP_X_FORWARDED_FOR")
      end

      def initialize(app, endpoint, signature, upgrade)
        @app, @endpoint, @signature, @upgrade = app, endpoint, signature, upgrade
        @refusals = Refusals.new
      end

      def call(env)
        if env["PATH_INFO"] != PATH then @app.call(env)
        elsif env["REQUEST_METHOD"] == "POST" then answer(env)
        elsif env["REQUEST_METHOD"] == "GET" && link?(env) then open(env)
        else @app.call(env)
        end
      end

      private
        def answer(env)
          body = env["rack.input"]&.read(BODY_LIMIT + 1) || "".b
          problem = body.bytesize > BODY_LIMIT ? "the call has more than #{BODY_LIMIT} bytes" : @signature.problem(env, Signature::POST, body)
          return refuse(env.merge("rack.input" => StringIO.new(body)), problem) if problem

          status, reply = @endpoint.answer(body, env, trusted: direct?(env) || env["rack.url_scheme"] == "https")
          respond status, "application/json", JSON.generate(reply)
        end

        # By either header, because a proxy may have removed the Upgrade.
        def link?(env)
          env.key?("HTTP_CATENARY_SIGNATURE") || env["HTTP_UPGRADE"].to_s.casecmp?(Upgrade::PROTOCOL)
        end

        def open(env)
          problem = @signature.problem(env, Signature::LINK, Upgrade.signed(env))
          problem ? refuse(env, problem) : @upgrade.answer(env, direct: direct?(env))
        end

        # Reveals the problem only to a peer on this machine. All others get the application's
        # answer to an unknown path.
        def refuse(env, problem)
          @refusals.log problem, env["REMOTE_ADDR"]
          direct?(env) ? respond(403, "text/plain; charset=utf-8", "catenary: #{problem}\n") : @app.call(env)
        end

        # Whether the peer is on this machine, without a proxy. For a Unix socket Puma sets
        # 127.0.0.1, and other servers set nothing.
        def direct?(env)
          !Middleware.forwarded?(env) && env["REMOTE_ADDR"].to_s.match?(LOCAL)
        end

        def respond(status, type, body)
          [status, { "content-type" => type, "content-length" => body.bytesize.to_s }, [body]]
        end
    end
  end
end
