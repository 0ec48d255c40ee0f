require_relative "test_helper"

class SettingsTest < CallTest
  def test_the_application_tells_what_catenary_needs
    expected = { "rails" => ::Rails.version, "gem" => "0.1.0", "environment" => "test", "mount_path" => "/cable",
      "cable" => { "adapter" => "redis", "url" => REDIS.url, "channel_prefix" => "test" }, "identifiers" => ["current_user"],
      "identify" => ["current_user"], "allowed_request_origins" => ["http://app.test"], "allow_same_origin_as_host" => true,
      "global_id_app" => GlobalID.app, "hosts" => ["app.test", "127.0.0.1"] }
    expected["forwarded_host"] = true if ::Rails.gem_version >= Gem::Version.new("8.2.0.alpha")
    assert_equal expected, settings.except("threads")
  end

  def test_passwords_do_not_travel_in_the_clear
    refute settings(env: { "REMOTE_ADDR" => "203.0.113.9" }).key?("cable")
    refute settings(env: { "HTTP_X_FORWARDED_FOR" => "203.0.113.9" }).key?("cable")
    assert settings(env: { "REMOTE_ADDR" => "203.0.113.9", "rack.url_scheme" => "https" }).key?("cable")
  end

  def test_threads_are_those_of_all_processes
    ENV["RAILS_MAX_THREADS"], ENV["WEB_CONCURRENCY"] = "3", "2"
    assert_equal 6, settings["threads"]
  ensure
    ENV.delete("RAILS_MAX_THREADS")
    ENV.delete("WEB_CONCURRENCY")
  end
end
