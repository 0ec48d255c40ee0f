# Has the form of turbo-rails' helper.
module Turbo::DriveHelper
  def turbo_refreshes_with(method: :replace, scroll: :reset)
    provide :head, tag.meta(name: "turbo-refresh-method", content: method) + tag.meta(name: "turbo-refresh-scroll", content: scroll)
  end
end
