# Counts the words that each user has written in a room, and broadcasts its progress.
class WordCountJob < ApplicationJob
  STEPS = 10
  PAUSE = 0.15.seconds # makes the progress visible

  def self.stream(id)
    "word_count:#{id}"
  end

  def perform(room, id)
    messages = room.messages.includes(:user).to_a
    words = Hash.new(0)

    messages.in_groups(STEPS, false).each.with_index(1) do |group, step|
      group.each { |message| words[message.user.name] += message.body.split.size }
      sleep PAUSE
      report id, percent: step * 100 / STEPS
    end

    report id, percent: 100, words: words
  end

  private
    def report(id, progress)
      ActionCable.server.broadcast self.class.stream(id), progress
    end
end
