ENV["RAILS_ENV"] = "test"

require "logger"
require "monitor"
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
require_relative "support/link_client"
require_relative "support/browser"
require_relative "support/native_socket"

# Every test talks to the application as catenary does.
class CallTest < Minitest::Test
  include Calls

  def setup
    Journal.clear
    Gate.clear
    endpoint.state.instance_variable_get(:@warned).clear
    endpoint.handover.quiet, endpoint.handover.latest = 0, Catenary::Rails::Handover::LATEST
    LOG.truncate(0)
    LOG.rewind
  end

  # The link over which browsers call; nil: by POST.
  def carrier
  end

  def wait_for(seconds = LinkClient::DEADLINE)
    deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + seconds
    until yield
      flunk "it did not come to pass within #{seconds} s" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline
      sleep 0.002
    end
  end
end

# The same tests over a link.
module OverLink
  def self.of(tests)
    Object.const_set "#{tests.name.delete_suffix("Test")}OverLinkTest", Class.new(tests) { include OverLink }
  end

  def carrier
    @carrier ||= LinkClient.pair
  end

  def teardown
    super
    @carrier&.close
  end
end
