module Catenary
  module Rails
    # The W3C trace that a call belongs to, which the application goes on with: what it sees as the handshake's environment has
    # the call's trace in place of what the browser may have sent.
    module Trace
      PARENT = "HTTP_TRACEPARENT"
      STATE = "HTTP_TRACESTATE"

      class << self
        # Puts the trace into the environments of a connection, while the block runs.
        def continue(parent, connection)
          return yield unless parent

          environments = [connection.send(:env), connection.send(:request).env].uniq(&:object_id) # the request has a copy
          before = environments.map { |environment| environment.slice(PARENT, STATE) }
          begin
            environments.each { |environment| replace environment, PARENT => parent }
            yield
          ensure
            environments.zip(before) { |environment, was| replace environment, was }
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
