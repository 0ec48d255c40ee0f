require_relative "test_helper"

class OpenTest < CallTest
  def test_a_connection_is_welcomed_and_identified
    browser = Browser.new(self, "?user=7").opened

    assert_equal [["internal", "action_cable/Z2lkOi8vdGVzdC1hcHAvVXNlci83"], ["send", '{"type":"welcome"}']], browser.ops
    assert_equal "Z2lkOi8vdGVzdC1hcHAvVXNlci83", browser.result["id"]
    assert_equal %w[Cable user-7], browser.tags.values_at(0, -1)
    assert_kind_of String, browser.handed_over["state"]
    assert_includes LOG.string, "Successfully upgraded to WebSocket (REQUEST_METHOD: GET, HTTP_CONNECTION: Upgrade, HTTP_UPGRADE: websocket)"
  end

  def test_connect_sees_protocol_and_address_of_the_browser
    browser = Browser.new(self, "?hello=1", headers: { "X-Forwarded-For" => "198.51.100.1" }).opened
    assert_equal({ "type" => "hello", "protocol" => "actioncable-v1-json", "ip" => "198.51.100.1" }, JSON.parse(browser.ops("send").first.last))
  end

  def test_connect_sees_the_upgrade_header_even_if_a_log_tag_has_used_the_request
    Browser.new(self, "?user=7").opened
    assert_includes Journal.entries, [:upgrade, "websocket"]
  end

  def test_the_session_is_the_browsers
    _, headers, = http("GET", "/login?9", env: { "HTTP_HOST" => "app.test" })
    cookie = (headers["Set-Cookie"] || headers["set-cookie"]).then { |value| Array(value).first[/\A[^;]+/] }
    browser = Browser.new(self, headers: { "Cookie" => cookie }).opened
    assert_equal "Z2lkOi8vdGVzdC1hcHAvVXNlci85", browser.result["id"]
  end

  def test_an_unauthorized_browser_is_told_not_to_reconnect
    browser = Browser.new(self, "?reject=1").opened
    assert_equal [["send", '{"type":"disconnect","reason":"unauthorized","reconnect":false}'], ["close"]], browser.ops
  end

  def test_after_an_exception_in_connect_the_browser_is_told_to_reconnect
    browser = Browser.new(self, "?raise=1").opened
    assert_equal [["send", '{"type":"disconnect","reason":"server_restart","reconnect":true}'], ["close"]], browser.ops
    assert_equal true, browser.result["raised"]
    refute Browser.new(self, "?reject=1").opened.result.key?("raised")
    assert_includes LOG.string, "connect failed"
  end

  def test_a_foreign_origin_is_answered_by_action_cable
    result = Browser.new(self, headers: { "Origin" => "http://evil.test" }).open
    assert_equal [404, "Page not found"], result.values_at("status", "body")
    refute result.key?("ops")
    assert_includes LOG.string, "Request origin not allowed: http://evil.test"
  end

  def test_a_foreign_host_is_answered_by_the_applications_middleware
    assert_equal 403, Browser.new(self, headers: { "Host" => "evil.test", "Origin" => "http://evil.test" }).open["status"]
  end

  def test_another_path_is_not_found
    assert_equal 404, Browser.new(self, url: "http://app.test/elsewhere").open["status"]
  end

  def test_a_refused_handshake_logs_no_error
    Browser.new(self, "?reject=1").opened.close
    Browser.new(self, headers: { "Origin" => "http://evil.test" }).open
    Browser.new(self, headers: { "Host" => "evil.test", "Origin" => "http://evil.test" }).open
    Browser.new(self, url: "http://app.test/elsewhere").open
    Browser.new(self, "?raise=1").opened.close
    refute_includes LOG.string, "[catenary]"
  end

  def test_a_header_with_an_underscore_is_dropped
    browser = Browser.new(self, "?hello=1", headers: { "X_Forwarded_For" => "198.51.100.1" }).opened
    assert_equal "192.0.2.7", JSON.parse(browser.ops("send").first.last)["ip"]
  end

  def test_a_connection_does_not_keep_the_call_that_opened_it
    Browser.new(self).opened
    live = endpoint.live_connections.send(:all).last
    refute live.connection.env.key?(Catenary::Rails::Mount::HANDLER)
    refute live.connection.send(:request).env.key?(Catenary::Rails::Mount::HANDLER)
  end
end
