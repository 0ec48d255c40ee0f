require "minitest/autorun"
require "open3"
require "rbconfig"

# An application as `rails new --skip-active-job --skip-action-mailer …` makes it, with a constant that Rails once had no use for.
class FewRailtiesTest < Minitest::Test
  APPLICATION = <<~RUBY
    require "logger"
    require "rails"
    require "action_controller/railtie"
    require "action_cable/engine"
    require "catenary-rails"
    module Configuration; end
    class Few < Rails::Application
      config.eager_load = true
      config.logger = Logger.new(File::NULL)
      config.secret_key_base = "x" * 64
      config.action_cable.cable = { "adapter" => "async" }
    end
    Few.initialize!
    settings = Catenary::Rails::Settings.new(Rails.application).to_h(trusted: true)
    state = Catenary::Rails::StateCodec.decode(*Catenary::Rails::StateCodec.encode([1.second, Time.current.change(usec: 0), :a]))
    print settings[:mount_path], " ", state.last, " ", Catenary::Rails::Versions::SEPARATE_SOCKET == (Rails::VERSION::STRING >= "8.2")
  RUBY

  def test_it_runs_with_action_cable_alone
    output, status = Open3.capture2e(RbConfig.ruby, "-I", File.expand_path("../lib", __dir__), "-e", APPLICATION)
    assert status.success?, output
    assert output.end_with?("/cable a true"), output
  end
end
