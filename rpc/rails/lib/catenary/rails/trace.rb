module Catenary
  module Rails
    # Lets the application continue the W3C trace of a call (docs/traces.md). In the handshake's
    # environment the call's trace replaces the headers that the browser may have sent.
    module Trace
      PARENT = "HTTP_TRACEPARENT"
      STATE = "HTTP_TRACESTATE"

      class << self
        # Sets the trace in the connection's environments while the block runs. parent: the call's
        # traceparent, or nil.
        def continue(parent, connection)
          return yield unless parent

          # The request has an environment of its own, a copy.
          environments = [connection.send(:env), connection.send(:request).env].uniq(&:object_id)
          saved = environments.map { |environment| environment.slice(PARENT, STATE) }
          begin
            environments.each { |environment| replace environment, PARENT => parent }
            yield
          ensure
            environments.zip(saved) { |environment, trace| replace environment, trace }
          end
        end

        def replace(environment, trace)
          environment.delete(PARENT)
          environment.delete(STATE)
          environment.merge!(trace)
        end
      end
    end
  end
end
