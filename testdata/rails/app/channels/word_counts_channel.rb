class WordCountsChannel < ApplicationCable::Channel
  def subscribed
    @room = Room.find(params[:room_id])
    @id = SecureRandom.uuid

    stream_from WordCountJob.stream(@id)
  end

  def start
    WordCountJob.perform_later @room, @id
  end
end
