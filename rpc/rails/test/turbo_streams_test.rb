require_relative "test_helper"

# The settings about Turbo::StreamsChannel, with a fake turbo-rails.
class TurboStreamsTest < CallTest
  module Engine
    mattr_accessor :root, default: File.dirname(__FILE__)
  end

  def setup
    super
    Object.const_set :Turbo, Module.new
    Turbo.const_set :Engine, Engine
    Turbo.const_set :StreamsChannel, Class.new(ActionCable::Channel::Base) { def subscribed = nil }
  end

  def teardown
    Object.send :remove_const, :Turbo
    Engine.root = File.dirname(__FILE__)
  end

  def test_the_unchanged_channel_has_only_a_key_check
    assert_equal({ "key_check" => OpenSSL::HMAC.hexdigest("SHA256", key, "catenary turbo v1") }, settings["turbo"].except("unstamped"))
  end

  def test_the_application_may_set_the_key
    Turbo.define_singleton_method(:signed_stream_verifier_key) { "a key" }
    assert_equal OpenSSL::HMAC.hexdigest("SHA256", "a key", "catenary turbo v1"), settings["turbo"]["key_check"]
    Turbo.define_singleton_method(:signed_stream_verifier_key) { raise ArgumentError, "no key" }
    assert_equal({ "own" => "failed to inspect Turbo::StreamsChannel: no key" }, settings["turbo"])
  end

  def test_a_changed_channel_is_reported_with_its_file
    Engine.root = "/elsewhere"
    assert_equal "the application changes Turbo::StreamsChannel in #{__FILE__}", settings["turbo"]["own"]
  end

  def test_added_callbacks_are_reported
    Turbo::StreamsChannel.before_subscribe { }
    assert_equal "the application adds subscribe callbacks to Turbo::StreamsChannel", settings["turbo"]["own"]
  end

  private
    def key
      ::Rails.application.key_generator.generate_key("turbo/signed_stream_verifier_key")
    end
end
