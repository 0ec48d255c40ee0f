class Chats::FooBarChannel < ApplicationCable::Channel
  def subscribed
    super
    stream_for params[:x]
  end
end
