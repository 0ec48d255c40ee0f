class ModelChannel < ApplicationCable::Channel
  def subscribed
    super
    stream_for User.new(params[:id])
  end
end
