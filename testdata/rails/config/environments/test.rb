Rails.application.configure do
  config.cache_classes = true
  config.eager_load = true
  config.consider_all_requests_local = true

  config.public_file_server.headers = { "Cache-Control" => "no-cache" }

  config.logger = ActiveSupport::TaggedLogging.new(Logger.new($stdout))
end
