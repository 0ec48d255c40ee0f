# Broadcasts for OrderChannel, on a thread of the job queue.
class SpeakJob < ActiveJob::Base
  def perform(stream, message)
    ActionCable.server.broadcast stream, message
  end
end
