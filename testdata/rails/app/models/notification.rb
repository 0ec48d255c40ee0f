class Notification < ApplicationRecord
  belongs_to :user
  belongs_to :message

  scope :unread, -> { where(read_at: nil).order(:id) }

  after_create_commit :broadcast

  def text
    "#{message.user.name} mentioned you in #{message.room.name}"
  end

  private
    def broadcast
      NotificationsChannel.broadcast_to user, id: id, text: text
    end
end
