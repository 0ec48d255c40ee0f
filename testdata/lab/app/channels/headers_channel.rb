# Looks at the headers of its connection's handshake.
class HeadersChannel < ApplicationCable::Channel
  def show
    request = connection.send(:request)
    transmit({
      authorization: request.headers["Authorization"], origin: request.headers["Origin"], protocol: connection.protocol,
      agent: request.user_agent&.dup&.force_encoding(Encoding::UTF_8), cookie: request.headers["Cookie"]
    })
  end

  # What OpenTelemetry would go on with.
  def trace
    transmit({ traceparent: connection.send(:request).headers["traceparent"] })
  end
end
