# Has the form of turbo-rails' helper.
module Turbo::StreamsHelper
  def turbo_stream_from(*streamables, **attributes)
    attributes[:channel] = (attributes[:channel] || "Turbo::StreamsChannel").to_s
    attributes[:"signed-stream-name"] = SignedStream.sign(streamables.join(":"))
    tag.turbo_cable_stream_source(**attributes)
  end
end
