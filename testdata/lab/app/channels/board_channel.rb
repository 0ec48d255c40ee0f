# An application's own channel for turbo_stream_from.
class BoardChannel < Turbo::StreamsChannel
end
