# Takes Turbo::StreamsChannel from a gem, as most applications do, in place of the lab's own, which
# records its callbacks.
module Turbo
  class Engine < Rails::Engine
    config.root = File.expand_path("../vendor/turbo-rails", __dir__)

    config.before_initialize do
      Rails.autoloaders.main.ignore File.expand_path("../app/channels/turbo", __dir__)
    end
  end
end
