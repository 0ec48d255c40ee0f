require_relative "test_helper"

class SettingsTest < CallTest
  def test_the_settings_contain_what_catenary_needs
    expected = { "rails" => ::Rails.version, "gem" => "0.1.0", "environment" => "test", "mount_path" => "/cable", "mount_paths" => ["/cable"],
      "cable" => { "adapter" => "redis", "url" => REDIS.url, "channel_prefix" => "test" }, "identifiers" => ["current_user"],
      "identify" => ["current_user"], "allowed_request_origins" => ["http://app.test"], "allow_same_origin_as_host" => true,
      "global_id_app" => GlobalID.app, "hosts" => ["app.test", "127.0.0.1"] }
    expected["forwarded_host"] = true if ::Rails.gem_version >= Gem::Version.new("8.2.0.alpha")
    assert_equal expected, settings.except("threads", "time")
    assert_in_delta Time.now.to_f, settings["time"], 5
  end

  def test_mount_paths_are_those_of_all_routes_with_the_applications_prefix
    routes = ActionDispatch::Routing::RouteSet.new
    routes.draw do
      mount ActionCable.server => "/cable"
      mount ActionCable.server => "/:account/cable"
      mount ->(_) { [200, {}, []] } => "/other"
    end
    app = SimpleDelegator.new(::Rails.application).tap { |app| app.define_singleton_method(:routes) { routes } }
    settings = Catenary::Rails::Settings.new(app)
    assert_equal %w[/cable /*/cable], settings.to_h(trusted: false)[:mount_paths]
    assert_equal %w[/app/cable /app/*/cable], settings.to_h(trusted: false, env: { "SCRIPT_NAME" => "/app" })[:mount_paths]
  end

  def test_cable_settings_are_what_rails_and_the_redis_gem_make_of_them
    to_h = ->(cable) { Catenary::Rails::CableSettings.new(cable.with_indifferent_access).to_h }
    ENV["REDIS_URL"] = "redis://elsewhere"
    assert_equal({ "channel_prefix" => "1.1", "password" => "12345678901234567890", "ssl" => true, "url" => "redis://elsewhere" },
      to_h.({ channel_prefix: 1.10, password: 12345678901234567890, ssl: true, id: "x" }))
    assert_equal "redis://h", to_h.({ url: "redis://h" })["url"]
    assert_nil to_h.({ adapter: "solid_cable" })["url"]
  ensure
    ENV.delete("REDIS_URL")
  end

  def test_passwords_are_not_sent_in_the_clear
    refute settings(env: { "REMOTE_ADDR" => "203.0.113.9" }).key?("cable")
    refute settings(env: { "HTTP_X_FORWARDED_FOR" => "203.0.113.9" }).key?("cable")
    assert settings(env: { "REMOTE_ADDR" => "203.0.113.9", "rack.url_scheme" => "https" }).key?("cable")
  end

  def test_threads_count_all_processes
    ENV["RAILS_MAX_THREADS"], ENV["WEB_CONCURRENCY"] = "3", "2"
    assert_equal 6, settings["threads"]
  ensure
    ENV.delete("RAILS_MAX_THREADS")
    ENV.delete("WEB_CONCURRENCY")
  end
end
