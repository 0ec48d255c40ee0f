# Takes Turbo::StreamsChannel and turbo_stream_from from a gem, as most applications do. The lab's own
# channel records its callbacks.
module Turbo
  class Engine < Rails::Engine
    config.root = File.expand_path("../vendor/turbo-rails", __dir__)

    config.before_initialize do
      Rails.autoloaders.main.ignore File.expand_path("../app/channels/turbo", __dir__)
    end

    initializer "turbo.helpers", before: :load_config_initializers do
      ActiveSupport.on_load(:action_controller_base) { helper Turbo::Engine.helpers }
    end
  end
end
