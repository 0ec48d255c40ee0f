require_relative "test_helper"

# A connection that catenary has identified: the application hears of it with its first command.
class IdentifyTest < CallTest
  ECHO = '{"channel":"EchoChannel"}'

  def test_the_first_command_finds_what_connect_would_have_set
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
    browser.forgotten.subscribe '{"channel":"EchoChannel","room":2}'
    assert_includes browser.ops("sub").map { |op| op[2] }, stream
  end

  def test_neither_connect_nor_disconnect_runs
    browser = Browser.new(self).identified
    browser.subscribe ECHO
    browser.close
    again = Browser.new(self).identified
    again.subscribe ECHO
    again.forgotten.close

    assert_empty Journal.entries.map(&:first) & %i[connect disconnect]
    assert_equal 2, Journal.entries.count { |event,| event == :unsubscribed }
  end

  def test_a_record_that_is_gone_is_nobody
    browser = Browser.new(self).identified(current_user: { gid: "gid://test-app/User/404" })
    browser.subscribe ECHO
    assert_equal [["send", '{"type":"disconnect","reason":"unauthorized","reconnect":false}'], ["close"]], browser.ops
    assert_includes LOG.string, "An unauthorized connection attempt was rejected"
    refute_includes Journal.entries.map(&:first), :after_subscribe
  end

  def test_an_exception_in_the_search_lets_the_browser_try_again
    browser = Browser.new(self).identified(current_user: { gid: "gid://test-app/User/500" })
    browser.subscribe ECHO
    assert_equal [["send", '{"type":"disconnect","reason":"server_restart","reconnect":true}'], ["close"]], browser.ops
    assert_includes LOG.string, "the database is down"
  end

  def test_a_text_stays_one
    browser = Browser.new(self).identified(current_user: "gid://test-app/User/7")
    browser.frames({ command: "unsubscribe", identifier: ECHO })
    assert_equal "gid://test-app/User/7", browser.result["id"]
  end

  def test_what_the_application_does_not_allow_is_refused
    allowed, ::Rails.configuration.catenary.identify = ::Rails.configuration.catenary.identify, []
    assert_refused "a call wants to set current_user of a connection: config.catenary.identify does not allow it", Browser.new(self).identified
  ensure
    ::Rails.configuration.catenary.identify = allowed
  end

  def test_what_connections_are_not_identified_by_is_refused
    assert_refused "a call wants to set logger of a connection: connections are not identified_by it", Browser.new(self).identified({ logger: "x" })
  end

  def test_origin_and_hosts_are_looked_at_with_the_first_command
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
