require_relative "test_helper"

# What catenary is told of Turbo::StreamsChannel, which here is made up.
class TurboStreamsTest < CallTest
  module Engine
    mattr_accessor :root, default: __dir__
  end

  def setup
    super
    Object.const_set :Turbo, Module.new
    Turbo.const_set :Engine, Engine
    Turbo.const_set :StreamsChannel, Class.new(ActionCable::Channel::Base) { def subscribed = nil }
  end

  def teardown
    Object.send :remove_const, :Turbo
    Engine.root = __dir__
  end

  def test_the_gems_own_channel
    assert_equal({ "key_check" => OpenSSL::HMAC.hexdigest("SHA256", key, "catenary turbo v1") }, settings["turbo"])
  end

  def test_a_key_of_the_applications
    Turbo.define_singleton_method(:signed_stream_verifier_key) { "a key" }
    assert_equal OpenSSL::HMAC.hexdigest("SHA256", "a key", "catenary turbo v1"), settings["turbo"]["key_check"]
    Turbo.define_singleton_method(:signed_stream_verifier_key) { raise ArgumentError, "no key" }
    assert_equal({ "own" => "Turbo::StreamsChannel cannot be looked at: no key" }, settings["turbo"])
  end

  def test_a_channel_that_the_application_changes
    Engine.root = "/elsewhere"
    assert_equal "the application changes Turbo::StreamsChannel in #{__FILE__}", settings["turbo"]["own"]
  end

  def test_callbacks_of_the_applications
    Turbo::StreamsChannel.before_subscribe { }
    assert_equal "Turbo::StreamsChannel has callbacks of the application's before, after or around subscribed", settings["turbo"]["own"]
  end

  private
    def key
      ::Rails.application.key_generator.generate_key("turbo/signed_stream_verifier_key")
    end
end
