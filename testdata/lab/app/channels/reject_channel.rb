class RejectChannel < ApplicationCable::Channel
  def subscribed
    super
    transmit({ before: 1 }) if params[:t]
    stream_from "rejstream" if params[:s]
    reject
  end
end
