class StreamChannel < ApplicationCable::Channel
  def subscribed
    super
    transmit({ insub: 1 }) if params[:t]
    Array(params[:s]).each { |name| stream_from name }
    sleep params[:sleep].to_f
  end
end
