require_relative "test_helper"

class ChannelTest < CallTest
  ECHO = '{"channel":"EchoChannel","room":"1"}'
  CONFIRMED = { identifier: ECHO, type: "confirm_subscription" }.to_json

  def setup
    super
    @browser = Browser.new(self, "?user=7").opened
  end

  def test_streams_are_recorded_before_the_confirmation
    @browser.subscribe(ECHO)

    assert_equal [["sub", ECHO, "echo", nil], ["sub", ECHO, "echo:Z2lkOi8vdGVzdC1hcHAvVXNlci83", nil], ["confirm", ECHO, CONFIRMED]], @browser.ops
    assert_equal [ECHO], @browser.result["channels"].keys
    assert_equal [2.0, 0.5], @browser.result["channels"][ECHO]["timers"]
  end

  def test_messages_transmitted_in_subscribed_precede_the_confirmation
    identifier = '{"channel":"EchoChannel","early":1}'
    @browser.subscribe(identifier)
    assert_equal %w[sub sub send confirm], @browser.kinds
  end

  def test_actions_transmit
    @browser.subscribe(ECHO)
    @browser.perform(ECHO, "echo", a: 1)
    assert_equal [["send", { identifier: ECHO, message: { a: 1 } }.to_json]], @browser.ops
    assert_equal [ECHO], @browser.result["channels"].keys
    refute @browser.result.key?("state")
  end

  def test_several_frames_run_in_order
    echo = ->(n) { { command: "message", identifier: ECHO, data: JSON.generate(action: "echo", n: n) } }
    @browser.frames({ command: "subscribe", identifier: ECHO }, echo[1], echo[2])
    assert_equal [nil, { "n" => 1 }, { "n" => 2 }], [nil] + @browser.messages
  end

  def test_streams_can_start_and_stop_in_actions
    @browser.subscribe(ECHO)
    @browser.perform(ECHO, "follow", stream: "news")
    assert_equal [["sub", ECHO, "news", nil]], @browser.ops
    @browser.perform(ECHO, "unfollow", stream: "news")
    assert_equal [["unsub", ECHO, "news"]], @browser.ops
    @browser.perform(ECHO, "stop_everything")
    assert_equal %w[unsub unsub], @browser.kinds
  end

  def test_unsubscribing_runs_the_callbacks_and_stops_the_streams
    @browser.subscribe(ECHO)
    @browser.unsubscribe(ECHO)
    assert_equal %w[unsub unsub], @browser.kinds
    assert_equal({ ECHO => nil }, @browser.result["channels"])
    assert_includes Journal.entries, [:unsubscribed, ECHO, nil]
  end

  def test_a_rejected_subscription_is_forgotten
    identifier = '{"channel":"RejectChannel"}'
    @browser.subscribe(identifier)
    assert_equal [["reject", identifier, { identifier: identifier, type: "reject_subscription" }.to_json]], @browser.ops
    assert_equal({ identifier => nil }, @browser.result["channels"])
  end

  def test_what_happens_to_channels_is_reported_by_class
    @browser.subscribe('{"channel":"::EchoChannel","room":"1"}')
    assert_equal [%w[EchoChannel confirmed]], @browser.events
    @browser.subscribe(ECHO)
    @browser.perform(ECHO, "echo")
    assert_empty @browser.events
    @browser.perform(ECHO, "fail")
    assert_equal [%w[EchoChannel raised]], @browser.events
    @browser.perform(ECHO, "fail_key") # rescue_from of the connection gets it, but the action failed
    assert_equal [%w[EchoChannel raised]], @browser.events
    @browser.perform(ECHO, "fail_with_argument") # rescue_from of the channel has handled it
    assert_empty @browser.events
    @browser.subscribe('{"channel":"RejectChannel"}')
    assert_equal [%w[RejectChannel rejected]], @browser.events
    @browser.subscribe('{"channel":"NoChannel"}')
    assert_empty @browser.events
    @browser.subscribe('{"channel":"ZombieChannel"}')
    assert_equal [%w[ZombieChannel raised]], @browser.events
  end

  def test_exceptions_of_timers_blocks_and_callbacks_are_reported
    faulty = '{"channel":"FaultyChannel"}'
    @browser.subscribe(faulty)
    @browser.tick(faulty, 0)
    assert_equal [%w[FaultyChannel raised]], @browser.events
    @browser.broadcast(faulty, "faulty", "1")
    assert_equal [%w[FaultyChannel raised]], @browser.events
    @browser.unsubscribe(faulty)
    assert_equal [%w[FaultyChannel raised]], @browser.events
    @browser.close
    assert_equal [%w[FaultyChannel raised]], @browser.events
    assert_equal 4, LOG.string.scan("a fault").size
  end

  def test_a_subscription_whose_callbacks_abort_is_confirmed_without_subscribed
    identifier = '{"channel":"AbortChannel"}'
    @browser.subscribe(identifier)
    assert_equal [["confirm", identifier]], @browser.ops.map { |op| op.first(2) }
  end

  def test_a_channel_whose_subscribed_raises_is_neither_confirmed_nor_forgotten
    identifier = '{"channel":"ZombieChannel"}'
    @browser.subscribe(identifier)
    assert_equal [["sub", identifier, "zombie", nil]], @browser.ops
    assert_equal [identifier], @browser.result["channels"].compact.keys

    @browser.rebuilt.perform(identifier, "speak")
    assert_equal [{ "alive" => true }], @browser.messages
    @browser.subscribe(identifier)
    assert_empty @browser.ops
    assert_includes LOG.string, "subscribed failed"
  end

  def test_invalid_frames_are_logged_and_ignored
    @browser.frames("not json", "5", '{"command":"dance"}', { command: "subscribe", identifier: '{"channel":"Nowhere"}' }, { command: "message", identifier: "x", data: "{}" })
    assert_empty @browser.ops
    assert_equal({ '{"channel":"Nowhere"}' => nil, "x" => nil }, @browser.result["channels"])
    assert_match(/unrecognized command/, LOG.string)
    assert_match(/Nowhere/, LOG.string)
  end

  def test_exceptions_in_actions_are_rescued_or_logged_as_natively
    @browser.subscribe(ECHO)
    @browser.perform(ECHO, "fail_with_argument")
    assert_equal [{ "rescued" => "bad" }], @browser.messages
    @browser.perform(ECHO, "fail")
    assert_empty @browser.ops
    assert_nil @browser.result["error"]
    assert_match(/an action failed/, LOG.string)
    @browser.perform(ECHO, "fail_key")
    assert_includes Journal.entries, [:rescued, "no key"]
  end

  def test_commands_are_logged_with_the_connections_tags
    @browser.subscribe(ECHO)
    assert_match(/\[Cable\] \[\/cable\/?\] \[user-7\] EchoChannel is streaming from echo/, LOG.string)
    @browser.rebuilt.perform(ECHO, "echo", a: 1)
    assert_match(/\[Cable\] \[\/cable\/?\] \[user-7\] EchoChannel#echo/, LOG.string)
  end

  def test_current_attributes_do_not_leak_between_commands
    @browser.subscribe(ECHO)
    @browser.perform(ECHO, "echo")
    @browser.unsubscribe(ECHO)
    assert_includes Journal.entries, [:unsubscribed, ECHO, nil]
  end

  def test_an_action_can_close_the_connection
    @browser.subscribe(ECHO)
    @browser.perform(ECHO, "end_it")
    assert_equal %w[send close], @browser.kinds
    @browser.perform(ECHO, "echo")
    assert_empty @browser.ops
  end

  def test_periodic_timers_tick
    @browser.subscribe(ECHO)
    @browser.tick(ECHO, 0)
    assert_equal [{ "beat" => "1" }], @browser.messages
    @browser.rebuilt.tick(ECHO, 1)
    assert_equal [{ "block" => "1" }], @browser.messages
  end

  def test_closing_runs_unsubscribed_and_disconnect
    @browser.subscribe(ECHO)
    @browser.close
    assert_equal [], @browser.ops
    assert_equal [[:unsubscribed, ECHO, nil], [:disconnect, "7"]], Journal.entries.last(2)
  end

  def test_the_connections_command_callbacks_run
    skip "Rails has them as of 7.1" unless ActionCable::Connection::Base.respond_to?(:before_command)
    @browser.subscribe(ECHO)
    assert_includes Journal.entries, [:before_command]
  end

  def test_a_post_may_have_calls_for_several_connections
    others = Array.new(2) { Browser.new(self, "?user=1").opened }
    reply = request(*others.map { |other| { conn: other.name, ver: other.version, do: "close" } })
    assert_equal [200, 200], reply["results"].map { |result| result["status"] }
    assert_equal [[:disconnect, "1"]] * 2, Journal.entries.last(2)
  end

  def test_closing_works_even_if_the_application_now_refuses_the_handshake
    @browser.subscribe(ECHO)
    @browser.rebuilt.moved_to "http://app.test/elsewhere"
    @browser.close
    assert_equal [[:unsubscribed, ECHO, nil], [:disconnect, "7"]], Journal.entries.last(2)
  end

  def test_closing_works_in_a_process_without_the_objects
    @browser.subscribe(ECHO)
    @browser.rebuilt.close
    assert_equal [[:unsubscribed, ECHO, nil], [:disconnect, "7"]], Journal.entries.last(2)
  end
end

# The application's own tests of its channels run with the gem loaded, on Rails' stub of a connection.
class ApplicationsChannelTest < ActionCable::Channel::TestCase
  tests RejectChannel

  def test_a_channel_can_be_tested_with_the_gem_loaded
    subscribe
    assert subscription.rejected?
    self.class.tests AbortChannel
    subscribe
    assert subscription.confirmed?
  end
end
