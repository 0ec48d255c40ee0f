module ApplicationHelper
  # /rooms/1?cable=native is the same page with its socket at Puma itself, where Rails serves it.
  def cable_meta_tag
    params[:cable] == "native" ? tag.meta(name: "action-cable-url", content: "ws://#{request.host}:#{ENV["PORT"]}/cable") : action_cable_meta_tag
  end
end
