# The same code as in turbo-rails.
class Turbo::StreamsChannel < ActionCable::Channel::Base
  def subscribed
    if stream_name = SignedStream.verified(params[:signed_stream_name])
      stream_from stream_name
    else
      reject
    end
  end
end
