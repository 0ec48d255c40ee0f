module Catenary
  module Rails
    # The W3C trace that a call belongs to, which the application goes on with: what it sees as the handshake's environment has
    # the call's headers in place of those that the browser may have sent.
    module Trace
      KEYS = %w[HTTP_TRACEPARENT HTTP_TRACESTATE].freeze

      class << self
        def of(env)
          env["HTTP_TRACEPARENT"] ? env.slice(*KEYS) : {}
        end

        # Puts the call's trace into the environments of a connection, while the block runs.
        def continue(env, connection)
          trace = of(env)
          return yield if trace.empty?

          environments = [connection.send(:env), connection.send(:request).env].uniq(&:object_id) # the request has a copy
          before = environments.map { |environment| environment.slice(*KEYS) }
          begin
            environments.each { |environment| replace environment, trace }
            yield
          ensure
            environments.zip(before) { |environment, was| replace environment, was }
          end
        end

        private
          def replace(environment, trace)
            KEYS.each { |key| trace.key?(key) ? environment[key] = trace[key] : environment.delete(key) }
          end
      end
    end
  end
end
