max_threads_count = ENV.fetch("RAILS_MAX_THREADS") { 5 }
min_threads_count = ENV.fetch("RAILS_MIN_THREADS") { max_threads_count }
threads min_threads_count, max_threads_count

port ENV.fetch("PORT") { 3000 }, ENV.fetch("BINDING") { "127.0.0.1" }

environment ENV.fetch("RAILS_ENV") { "development" }

workers ENV.fetch("WEB_CONCURRENCY") { 0 }
silence_single_worker_warning

pidfile ENV["PIDFILE"] if ENV["PIDFILE"]
