require "logger"
RedisUrl = Struct.new(:url)
REDIS = RedisUrl.new(ENV.fetch("TEST_REDIS_URL"))
$LOAD_PATH.unshift File.expand_path("../../lib", __dir__)
require_relative "app"

run Rails.application
