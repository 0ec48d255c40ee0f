Rails.application.configure do
  config.cache_classes = false
  config.eager_load = false
  config.consider_all_requests_local = true

  config.public_file_server.headers = { "Cache-Control" => "no-cache" }

  config.action_cable.allowed_request_origins = [ %r{\Ahttps?://localhost(:\d+)?\z}, %r{\Ahttps?://127\.0\.0\.1(:\d+)?\z} ]
end
