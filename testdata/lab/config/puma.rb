port ENV.fetch("PORT") { 3000 }, "127.0.0.1"
threads_count = ENV.fetch("RAILS_MAX_THREADS") { 5 }.to_i
threads threads_count, threads_count
workers ENV.fetch("WEB_CONCURRENCY") { 0 }.to_i
preload_app! false if ENV["LAB_PRELOAD"] == "false" # for phased restarts
