# Transmits headers of its connection's handshake.
class HeadersChannel < ApplicationCable::Channel
  def show
    transmit({
      authorization: request.headers["Authorization"], origin: request.headers["Origin"], protocol: connection.protocol,
      agent: request.user_agent&.dup&.force_encoding(Encoding::UTF_8), cookie: request.headers["Cookie"]
    })
  end

  # The trace that OpenTelemetry would continue.
  def trace
    transmit({ traceparent: request.headers["traceparent"] })
  end

  def address
    transmit Address.of(request)
  end

  private
    def request
      connection.send(:request)
    end
end
