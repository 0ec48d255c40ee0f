require_relative "test_helper"

# A connection that catenary has identified. The application sees it with its first command.
class IdentifyTest < CallTest
  ECHO = '{"channel":"EchoChannel"}'

  def test_the_first_command_finds_the_identifiers
    browser = Browser.new(self, headers: { "X-Forwarded-For" => "198.51.100.1" }).identified
    browser.subscribe ECHO

    assert_equal ["internal", "action_cable/Z2lkOi8vdGVzdC1hcHAvVXNlci83"], browser.ops.first
    assert_equal ECHO, browser.ops("confirm").first[1]
    assert_equal "Z2lkOi8vdGVzdC1hcHAvVXNlci83", browser.result["id"]
    assert_equal "Cable", browser.tags.first
    refute_includes browser.ops("send").to_s, "welcome"
    assert_includes LOG.string, "Successfully upgraded to WebSocket"

    stream = "echo:Z2lkOi8vdGVzdC1hcHAvVXNlci83" # stream_for current_user
    assert_includes browser.ops("sub").map { |op| op[2] }, stream
    browser.rebuilt.subscribe '{"channel":"EchoChannel","room":2}'
    assert_includes browser.ops("sub").map { |op| op[2] }, stream
  end

  def test_neither_connect_nor_disconnect_runs
    browser = Browser.new(self).identified
    browser.subscribe ECHO
    browser.close
    again = Browser.new(self).identified
    again.subscribe ECHO
    again.rebuilt.close

    assert_empty Journal.entries.map(&:first) & %i[connect disconnect]
    assert_equal 2, Journal.entries.count { |event,| event == :unsubscribed }
  end

  def test_a_record_that_does_not_exist_is_unauthorized
    browser = Browser.new(self).identified(current_user: { gid: "gid://test-app/User/404" })
    browser.subscribe ECHO
    assert_equal [["send", '{"type":"disconnect","reason":"unauthorized","reconnect":false}'], ["close"]], browser.ops
    assert_includes LOG.string, "An unauthorized connection attempt was rejected"
    refute_includes Journal.entries.map(&:first), :after_subscribe
  end

  def test_after_an_exception_in_the_lookup_the_browser_is_told_to_reconnect
    browser = Browser.new(self).identified(current_user: { gid: "gid://test-app/User/500" })
    browser.subscribe ECHO
    assert_equal [["send", '{"type":"disconnect","reason":"server_restart","reconnect":true}'], ["close"]], browser.ops
    assert_includes LOG.string, "the database is down"
  end

  def test_text_that_looks_like_a_global_id_stays_text
    browser = Browser.new(self).identified(current_user: "gid://test-app/User/7")
    browser.frames({ command: "unsubscribe", identifier: ECHO })
    assert_equal "gid://test-app/User/7", browser.result["id"]
  end

  def test_an_identifier_that_the_application_does_not_allow_is_refused
    allowed, ::Rails.configuration.catenary.identify = ::Rails.configuration.catenary.identify, []
    assert_refused "a call must not set current_user of a connection: config.catenary.identify does not allow it", Browser.new(self).identified
  ensure
    ::Rails.configuration.catenary.identify = allowed
  end

  def test_an_undeclared_identifier_is_refused
    assert_refused "a call must not set logger of a connection: identified_by does not declare it", Browser.new(self).identified({ logger: "x" })
  end

  def test_origin_and_host_are_checked_with_the_first_command
    assert_equal({ "kind" => "lost", "message" => "Action Cable answers 404 to the handshake" },
      Browser.new(self, headers: { "Origin" => "http://evil.test" }).identified.subscribe(ECHO)["error"])
    assert_equal({ "kind" => "lost", "message" => "the application's middleware now answers 403 to the handshake" },
      Browser.new(self, headers: { "Host" => "evil.test" }).identified.subscribe(ECHO)["error"])
  end

  private
    def assert_refused(message, browser)
      assert_equal({ "kind" => "refused", "message" => message }, browser.subscribe(ECHO)["error"])
      assert_includes LOG.string, message
      assert_empty Journal.entries
    end
end
