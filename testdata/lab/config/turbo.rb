# Turbo::StreamsChannel of a gem, as most applications have it, in place of the application's own, which records its callbacks.
module Turbo
  class Engine < Rails::Engine
    config.root = File.expand_path("../vendor/turbo-rails", __dir__)

    config.before_initialize do
      Rails.autoloaders.main.ignore File.expand_path("../app/channels/turbo", __dir__)
    end
  end
end
