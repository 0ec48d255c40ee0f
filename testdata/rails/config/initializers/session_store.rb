Rails.application.config.session_store :cookie_store, key: "_chat_session"
