class Message < ApplicationRecord
  belongs_to :room
  belongs_to :user
  has_many :notifications

  validates :body, presence: true, length: { maximum: 2000 }

  after_create_commit :broadcast, :notify_mentioned

  private
    def broadcast
      RoomChannel.broadcast_to room, type: "message", id: id, user: user.name, body: body, at: created_at
    end

    def notify_mentioned
      User.where(name: body.scan(/@([\p{L}\p{N}_-]+)/).flatten.uniq).where.not(id: user_id).each do |mentioned|
        notifications.create! user: mentioned
      end
    end
end
