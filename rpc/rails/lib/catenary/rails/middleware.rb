module Catenary
  module Rails
    # The outermost middleware: answers catenary's calls, and passes on everything else untouched.
    class Middleware
      BODY_LIMIT = 32 * 1024 * 1024 # bytes

      def initialize(app, endpoint, signature)
        @app, @endpoint, @signature = app, endpoint, signature
        @refusals = Refusals.new
      end

      def call(env)
        env["PATH_INFO"] == PATH && env["REQUEST_METHOD"] == "POST" ? answer(env) : @app.call(env)
      end

      private
        def answer(env)
          body = env["rack.input"]&.read(BODY_LIMIT + 1) || "".b
          problem = body.bytesize > BODY_LIMIT ? "the call is longer than #{BODY_LIMIT} bytes" : @signature.problem(env, body)
          return refuse(env, body, problem) if problem

          status, reply = @endpoint.answer(body, env, trusted: direct?(env) || env["rack.url_scheme"] == "https")
          respond status, "application/json", JSON.generate(reply)
        end

        # Nobody learns that there is something here, except who is on this machine and may need to know what is wrong.
        def refuse(env, body, problem)
          @refusals.log problem, env["REMOTE_ADDR"]
          return respond(403, "text/plain; charset=utf-8", "catenary: #{problem}\n") if direct?(env)
          @app.call(env.merge("rack.input" => StringIO.new(body)))
        end

        # From this machine, and not through a proxy. Puma says 127.0.0.1 for a Unix socket; other servers say nothing.
        def direct?(env)
          env["HTTP_FORWARDED"].nil? && env["HTTP_X_FORWARDED_FOR"].nil? &&
            env["REMOTE_ADDR"].to_s.match?(/\A(?:(?:::ffff:)?127\.\d+\.\d+\.\d+|::1|unix:?|)\z/)
        end

        def respond(status, type, body)
          [status, { "content-type" => type, "content-length" => body.bytesize.to_s }, [body]]
        end
    end
  end
end
