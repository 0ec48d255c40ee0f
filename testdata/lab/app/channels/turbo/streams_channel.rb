# Stands in for turbo-rails' channel of this name: the signed name is all the permission there is.
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
