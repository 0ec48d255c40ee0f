# Takes Turbo::StreamsChannel and turbo_stream_from from a gem, as most applications do: turbo-rails, or
# the part of it in vendor. The lab's own channel records its callbacks.
unless ENV["LAB_TURBO"] == "original"
  $LOAD_PATH.unshift File.join(ENV["LAB_TURBO"], "lib")
  require "turbo-rails"
end

module Turbo
  class Engine < Rails::Engine
    config.before_initialize do
      Rails.autoloaders.main.ignore File.expand_path("../app/channels/turbo", __dir__)
    end

    if ENV["LAB_TURBO"] == "original"
      config.root = File.expand_path("../vendor/turbo-rails", __dir__)

      initializer "turbo.helpers", before: :load_config_initializers do
        ActiveSupport.on_load(:action_controller_base) { helper Turbo::Engine.helpers }
      end
    end
  end
end
