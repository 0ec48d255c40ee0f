# Says on a stream what a channel has left to it, in a thread of the queue's.
class SpeakJob < ActiveJob::Base
  def perform(stream, message)
    ActionCable.server.broadcast stream, message
  end
end
