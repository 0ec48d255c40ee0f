class NotificationsChannel < ApplicationCable::Channel
  def subscribed
    stream_for current_user
  end

  def read(data)
    current_user.notifications.where(id: data["id"]).update_all read_at: Time.current
    broadcast_to current_user, id: data["id"], read: true
  end
end
