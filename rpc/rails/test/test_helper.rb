ENV["RAILS_ENV"] = "test"

require "logger"
require "json"
require "openssl"
require "securerandom"
require "socket"
require "timeout"

require_relative "support/redis_server"
REDIS = RedisServer.new # before Minitest, since what is registered first ends last
require "minitest/autorun"

require_relative "support/app"
require_relative "support/calls"
require_relative "support/browser"
require_relative "support/native_socket"

# Every test talks to the application as catenary does.
class CallTest < Minitest::Test
  include Calls

  def setup
    Journal.clear
    LOG.truncate(0)
    LOG.rewind
  end
end
