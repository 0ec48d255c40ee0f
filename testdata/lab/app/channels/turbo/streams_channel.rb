# Stands in for turbo-rails' channel: a valid signature is the only condition. Records callbacks.
class Turbo::StreamsChannel < ApplicationCable::Channel
  def subscribed
    super
    if stream_name = SignedStream.verified(params[:signed_stream_name])
      stream_from stream_name
    else
      reject
    end
  end
end
