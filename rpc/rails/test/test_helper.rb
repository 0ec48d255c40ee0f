ENV["RAILS_ENV"] = "test"

require "logger"
require "monitor"
require "json"
require "openssl"
require "securerandom"
require "socket"
require "timeout"

require_relative "support/patience"
require_relative "support/redis_server"
REDIS = RedisServer.new
require "minitest/autorun"

require_relative "support/app"
require_relative "support/calls"
require_relative "support/link_client"
require_relative "support/browser"
require_relative "support/native_socket"

# The base of all tests that call the application as catenary does.
class CallTest < Minitest::Test
  include Calls

  def setup
    Journal.clear
    Gate.clear
    endpoint.state.instance_variable_get(:@warned).clear
    endpoint.handover.idle_delay, endpoint.handover.busy_delay = 0, Catenary::Rails::Handover::BUSY_DELAY
    LOG.truncate(0)
    LOG.rewind
  end

  # The link for the calls of browsers; nil for POSTs.
  def carrier
  end

  def wait_for(seconds = PATIENCE)
    deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + seconds
    until yield
      flunk "the condition was not met within #{seconds} s" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline
      sleep 0.002
    end
  end
end

# Runs a class of tests once more, over a link.
module OverLink
  def self.repeat(tests)
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
