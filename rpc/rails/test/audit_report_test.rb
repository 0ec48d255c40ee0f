require "minitest/autorun"
require "fileutils"
require "json"
require "open3"
require "rails/version"
require "rbconfig"
require "tmpdir"

# What the audit reports of a whole application, without the gem and without a database, as `catenary audit` runs it.
class AuditReportTest < Minitest::Test
  LIBRARIES = File.expand_path("../lib", __dir__)

  # On standard input of Ruby, in the application's folder. What it prints before the report is the application's.
  SCRIPT = <<~'RUBY'
    require "logger"
    require "rails"
    require "action_controller/railtie"
    require "action_cable/engine"
    class Small < Rails::Application
      config.root = Dir.pwd
      config.load_defaults "#{Rails::VERSION::MAJOR}.#{Rails::VERSION::MINOR}"
      config.eager_load = false
      config.logger = Logger.new(File::NULL)
      config.secret_key_base = "x" * 64
    end
    Small.initialize!
    $LOAD_PATH.unshift ARGV.first
    require "catenary/rails/audit"
    text, fails = Catenary::Rails::Audit.run(json: ARGV.last == "json")
    abort "the gem is loaded" if defined?(Catenary::Rails::Railtie)
    print text
    exit fails ? 1 : 0
  RUBY

  BASE = {
    "app/channels/application_cable/channel.rb" => "module ApplicationCable\n class Channel < ActionCable::Channel::Base\n end\nend\n",
    "app/channels/application_cable/connection.rb" => "module ApplicationCable\n class Connection < ActionCable::Connection::Base\n end\nend\n",
    "config/cable.yml" => "test:\n  adapter: async\nproduction:\n  adapter: redis\n"
  }

  def test_the_text
    text, status = audit(
      "app/channels/a_channel.rb" => "class AChannel < ApplicationCable::Channel\n def subscribed\n  stream_from('a') { |m| m }\n  stream_from('b') { |m| m }\n end\nend",
      "app/channels/b_channel.rb" => "class BChannel < ApplicationCable::Channel\nend",
      "app/channels/c_channel.rb" => "class CChannel < ApplicationCable::Channel\n def peek = connection.instance_variable_get(:@websocket)\nend",
      "app/channels/d_channel.rb" => "class DChannel < AChannel\n def act = Thread.new { }\nend")
    assert text.start_with?(<<~TEXT.chomp), text
      CHANNEL                       RUNS          BECAUSE OF
      AChannel                      pinned        stream blocks
      BChannel                      plain
      CChannel                      pass-through  @websocket
      DChannel                      pinned        stream blocks
      ApplicationCable::Connection  plain

      AChannel
        app/channels/a_channel.rb:3  stream_from with a block
        app/channels/a_channel.rb:4  stream_from with a block
          Ruby runs
    TEXT
    assert_includes text, "-> pass_through: [CChannel]"
    assert_includes text, "\n\nDChannel\n  as AChannel\n  app/channels/d_channel.rb:2  Thread.new\n"
    assert text.end_with?("\n\naudit: 4 channels, 1 plain, 2 pinned, 1 needs pass-through\n"), text
    assert_equal 1, status
  end

  def test_json
    report = report("app/channels/c_channel.rb" => "class CChannel < ApplicationCable::Channel\n def peek = connection.websocket\nend")
    assert_equal %w[root channels connections application notes counts], report.keys
    channel = report["channels"].first
    assert_equal ["CChannel", "app/channels/c_channel.rb", 1, "pass-through", false], channel.values_at("name", "file", "line", "runs", "passed_through")
    assert_equal %w[rule file line runs code means advice], channel["findings"].first.keys
    assert_equal "pass-through", channel["findings"].first["runs"]
    assert_equal({ "pass-through" => 1 }, report["counts"])
  end

  def test_what_is_a_channel
    report = report(
      "app/channels/room_channel.rb" => "class RoomChannel < ApplicationCable::Channel\n class Helper\n end\nend",
      "app/channels/chats/presence_channel.rb" => "module Chats\n class PresenceChannel < ::RoomChannel\n end\nend",
      "app/channels/concerns/ticking.rb" => "module Ticking\nend",
      "app/channels/formatter.rb" => "class Formatter\nend",
      "spec/app/channels/fake_channel.rb" => "class FakeChannel < ApplicationCable::Channel\nend",
      "app/channels/made_channel.rb" => "MadeChannel = Class.new(ApplicationCable::Channel) { periodically :tick, every: 1 }")
    assert_equal %w[Chats::PresenceChannel MadeChannel RoomChannel], report["channels"].map { |channel| channel["name"] }
    assert_equal %w[ApplicationCable::Connection], report["connections"].map { |connection| connection["name"] }
    assert_equal "timers", report["channels"][1]["runs"]
  end

  def test_what_others_put_into_rails_own_classes
    report = report(
      "app/channels/a_channel.rb" => "class AChannel < ApplicationCable::Channel\nend",
      "config/initializers/cable.rb" => <<~RUBY)
        ActiveSupport.on_load(:action_cable_channel) { prepend(Module.new { def transmit(data, via: nil) = super }) }
        ActiveSupport.on_load(:action_cable_connection) do
          prepend(Module.new do
            def beat = super
            def handle_open = super
          end)
        end
        class ActionCable::Server::Base
          def add_connection(connection) = super
          def setup_heartbeat_timer = nil
        end
        ActiveSupport::Notifications.subscribe("transmit.action_cable") { |event| event }
        ActionCable::Connection::WebSocket.prepend(Module.new { def alive? = super }) if ActionCable::Connection.const_defined?(:WebSocket, false)
        Rails.application.config.action_cable.worker_pool_size = 8
      RUBY
    codes = report["application"].map { |finding| "#{finding["rule"]}:#{finding["line"]} #{finding["code"]}" }
    ["delivery:1 def transmit", "heartbeat:4 def beat", "overridden:9 def add_connection", "heartbeat:10 def setup_heartbeat_timer",
      "notifications:12 transmit.action_cable", "worker pool:14 worker_pool_size"].each { |code| assert_includes codes, code }
    assert_includes codes, "overridden:5 def handle_open" unless separate_socket?
    assert_includes codes, "overridden:13 WebSocket#alive?" unless separate_socket?
    assert_equal "pinned", report["channels"].first["runs"]
    assert_equal ["config/initializers/cable.rb"], report["application"].map { |finding| finding["file"] }.uniq
  end

  def test_what_is_passed_through
    text, status = audit(
      "app/channels/a_channel.rb" => "class AChannel < ApplicationCable::Channel\n def peek = connection.websocket\nend",
      "config/catenary.yml" => "production:\n  pass_through: [AChannel]\n")
    assert text.end_with?("audit: 1 channel, 0 plain, 1 passed through\n"), text
    assert_equal 0, status
  end

  def test_a_connection_is_passed_through_with_all
    connection = { "app/channels/application_cable/connection.rb" => "module ApplicationCable\n class Connection < ActionCable::Connection::Base\n  def peek = @websocket\n end\nend" }
    text, status = audit(connection)
    assert text.end_with?("audit: 0 channels, 0 plain, 1 thing elsewhere cannot work\n"), text
    assert_equal 1, status
    assert_equal 0, audit(connection.merge("config/catenary.yml" => "production:\n  pass_through: all\n")).last
  end

  def test_a_file_that_does_not_load
    report = report(
      "app/channels/a_channel.rb" => "class AChannel < ApplicationCable::Channel\nend",
      "app/channels/b_channel.rb" => "class BChannel < ApplicationCable::Channel\n  include Missing\nend",
      "app/channels/c_channel.rb" => "class CChannel < ApplicationCable::Channel\n  def x(\nend",
      "app/channels/d_channel.rb" => "class AnotherChannel < ApplicationCable::Channel\nend",
      "app/channels/e_channel.rb" => "class EChannel < ApplicationCable::Channel\n  raise ActiveRecord::ConnectionNotEstablished, 'no database'\nend",
      "config/initializers/record.rb" => "module ActiveRecord\n class ActiveRecordError < StandardError\n end\n class ConnectionNotEstablished < ActiveRecordError\n end\nend")
    assert_includes report["channels"].map { |channel| channel["name"] }, "AChannel"
    failures = report["application"].select { |finding| finding["rule"] == "loading" }
    database = failures.pop
    assert_equal %w[app/channels/b_channel.rb app/channels/c_channel.rb app/channels/d_channel.rb], failures.map { |finding| finding["file"] }
    assert_equal ["app/channels/e_channel.rb", 2, "plain"], database.values_at("file", "line", "runs")
    assert_equal 2, failures.first["line"]
    assert_match(/uninitialized constant BChannel::Missing/, failures.first["code"])
    assert_equal ["cannot work"], failures.map { |finding| finding["runs"] }.uniq
  end

  def test_turbo
    turbo = <<~RUBY
      module Turbo
        class Engine < Rails::Engine
          config.root = File.expand_path("../../turbo-rails", __dir__)
        end
        module Streams
          module StreamName
            def verified_stream_name(name) = name
          end
        end
      end
    RUBY
    own = "class Turbo::StreamsChannel < ActionCable::Channel::Base\n extend Turbo::Streams::StreamName\n def subscribed = nil\nend"
    files = { "config/initializers/a_turbo.rb" => turbo, "turbo-rails/app/channels/turbo/streams_channel.rb" => own,
      "app/channels/a_channel.rb" => "class AChannel < ApplicationCable::Channel\n extend Turbo::Streams::StreamName\nend" }
    loaded = { "config/initializers/b_turbo.rb" => "Rails.autoloaders.main.push_dir Rails.root.join('turbo-rails/app/channels')\nActiveSupport::Dependencies.autoload_paths += [Rails.root.join('turbo-rails/app/channels').to_s]" }
    report = report(files.merge(loaded))
    assert_equal %w[AChannel Turbo::StreamsChannel], report["channels"].map { |channel| channel["name"] }
    first, second = report["channels"].map { |channel| channel["findings"].first }
    assert_includes first["means"], "for Turbo::StreamsChannel alone"
    assert_includes second["advice"], "turbo.verify_streams: true"
    report = report(files.merge(loaded, "config/initializers/c_turbo.rb" =>
      "Rails.application.config.to_prepare { Turbo::StreamsChannel.prepend(Module.new { def subscribed = super }) }"))
    assert_includes report["channels"].last["findings"].first["means"], "because the application changes Turbo::StreamsChannel in config/initializers/c_turbo.rb"
  end

  def test_an_application_without_action_cable
    script = SCRIPT.sub(%(require "action_cable/engine"\n), "")
    _, errors, status = Dir.mktmpdir { |root| Open3.capture3(RbConfig.ruby, "-", LIBRARIES, stdin_data: script, chdir: root) }
    assert_equal 1, status.exitstatus
    assert_equal %(The application does not load Action Cable: require "action_cable/engine"), errors.lines.last.strip
  end

  private
    # Rails 8.2
    def separate_socket?
      Gem::Version.new(Rails::VERSION::STRING) >= Gem::Version.new("8.2.0.a")
    end

    def report(files)
      JSON.parse(audit(files, "json").first)
    end

    def audit(files, *arguments)
      Dir.mktmpdir("catenary-audit") do |root|
        BASE.merge(files).each do |path, text|
          FileUtils.mkdir_p File.dirname("#{root}/#{path}")
          File.write "#{root}/#{path}", text
        end
        environment = { "RAILS_ENV" => "test", "RUBYLIB" => nil }
        output, errors, status = Open3.capture3(environment, RbConfig.ruby, "-", LIBRARIES, *arguments, stdin_data: SCRIPT, chdir: root)
        assert_includes [0, 1], status.exitstatus
        assert_includes output, "audit: ", errors if arguments.empty?
        assert_operator output.size, :>, 0, errors
        [output, status.exitstatus]
      end
    end
end
