require_relative "boot"

require "rails"
require "active_model/railtie"
require "active_job/railtie"
require "active_record/railtie"
require "action_controller/railtie"
require "action_view/railtie"
require "action_cable/engine"
require "catenary-rails"

module Chat
  class Application < Rails::Application
    config.load_defaults 6.1

    config.active_job.queue_adapter = :async
  end
end
