require_relative "test_helper"

# A connection that is rebuilt has the records that it had: its own tenant's, or none.
class RebuildTest < CallTest
  MEMBER = '{"channel":"MemberChannel","friends":true}'
  OTHER = '{"channel":"MemberChannel","friend":"4"}'
  ECHO = '{"channel":"EchoChannel"}'
  ACME = { "user" => "acme", "friend" => "acme", "friends" => ["acme"] }

  def setup
    super
    Member.searches.clear
    Tenant.left.clear
  end

  def teardown
    User.gone.clear
    Member.founding["public"] = Time.utc(2020)
    super
  end

  def test_records_are_looked_up_inside_of_the_callbacks_of_a_command
    browser = member("at=command")
    browser.perform MEMBER, "who"
    live = browser.said
    assert_equal [ACME.merge("tenant" => "acme")], live
    browser.forgotten.perform MEMBER, "who"
    assert_equal live, browser.said
    browser.forgotten.unsubscribe MEMBER
    assert_equal [:unsubscribed, "acme"], Journal.entries.last
  end

  def test_records_are_looked_up_inside_of_the_callbacks_of_work
    browser = member("at=work")
    browser.tick MEMBER, 0
    live = browser.said
    assert_equal [ACME.merge("tenant" => "acme")], live
    browser.forgotten.tick MEMBER, 0
    assert_equal live, browser.said
    browser.forgotten.close
    assert_equal [[:unsubscribed, "acme"], [:disconnect, "7"]], Journal.entries.last(2)
  end

  # Its variable is read, by no reader.
  def test_a_record_of_the_connection_is_there_when_callbacks_use_it
    browser = member("at=variable")
    browser.forgotten.perform MEMBER, "who"
    assert_equal [ACME.merge("tenant" => "acme")], browser.said
  end

  def test_nothing_is_looked_up_that_is_not_used
    browser = member("at=command")
    browser.subscribe OTHER
    Member.searches.clear
    User.gone << "4"
    browser.forgotten.perform MEMBER, "who"
    assert_equal %w[2 3 7], Member.searches.sort

    browser.perform MEMBER, "who"
    assert_equal %w[2 3 7], Member.searches.sort
    browser.perform OTHER, "who"
    assert_lost(/MemberChannel: @friend is lost/, browser)
  end

  def test_what_callbacks_have_replaced_is_not_looked_up
    browser = member("at=replaced")
    browser.forgotten
    Member.searches.clear
    browser.perform MEMBER, "who"
    assert_equal [ACME.merge("tenant" => "acme")], browser.said
    assert_equal %w[2 3], Member.searches.sort
    assert browser.handed_over["state"]
  end

  def test_looking_up_is_no_change
    browser = member("at=command")
    browser.subscribe OTHER
    browser.forgotten.perform OTHER, "who"
    assert_equal true, browser.result["kept"]
    refute browser.result.key?("state")
    refute browser.result["channels"][OTHER].key?("state")
  end

  def test_state_that_is_written_before_the_records_were_used
    browser = member("at=command")
    browser.forgotten
    Member.searches.clear
    browser.beat
    ledger = endpoint.live_connections.take(browser.name, browser.version).ledger
    ledger.instance_variable_get(:@entries).clear
    assert_equal browser.state, ledger.unwritten([])[:state]
    assert_empty Member.searches
  end

  def test_a_record_of_another_tenant_is_lost
    browser = member("at=nowhere")
    browser.forgotten.perform MEMBER, "who"
    assert_lost(/@current_user is lost: its created_at is not what it was/, browser)

    browser = member("at=reader")
    browser.forgotten.perform MEMBER, "who"
    assert_lost(/@current_user is lost: its created_at is not what it was/, browser)
    assert_empty browser_errors
  end

  def test_a_record_in_a_channel_that_is_gone_or_another_is_lost
    browser = member("at=command")
    browser.forgotten
    User.gone << "3"
    browser.perform MEMBER, "who"
    assert_lost(/MemberChannel: @friends is lost/, browser)
    assert_equal ["acme"], Tenant.left.last(1), "the callbacks have been left in good order"
    assert_empty browser_errors
  end

  # What has run before has been done, and may be seen.
  def test_effects_of_a_command_before_the_one_that_is_lost
    browser = member("at=command")
    browser.subscribe ECHO
    browser.forgotten
    User.gone << "2"
    browser.frames(*[[ECHO, "echo", 1], [ECHO, "echo", 2], [MEMBER, "who", 3]].map do |identifier, action, n|
      { command: "message", identifier: identifier, data: JSON.generate(action: action, n: n) }
    end)
    assert_lost(/@friend is lost/, browser)
    assert_equal [1, 2], carrier.effects(browser.last_call).map { |_, frame| JSON.parse(frame).dig("message", "n") } if carrier
  end

  def test_when_a_subscription_ends_what_is_gone_is_nil
    browser = member("at=command")
    browser.forgotten
    User.gone << "2"
    browser.unsubscribe MEMBER
    assert_nil browser.result["error"]
    assert_equal [:unsubscribed, nil], Journal.entries.last
    assert_match(/MemberChannel: @friend is lost/, LOG.string)
  end

  # Natively they are in memory, though nothing has switched to the tenant.
  def test_at_the_end_records_of_the_tenant_are_found
    browser = member("at=command")
    browser.forgotten.close
    assert_equal [[:unsubscribed, "acme"], [:disconnect, "7"]], Journal.entries.last(2)
    assert_empty browser.warnings
    assert_equal "public", Tenant.current
    assert_empty browser_errors
  end

  def test_at_the_end_callbacks_of_commands_run_only_for_what_is_not_found_without
    browser = member("at=work")
    browser.forgotten
    Tenant.left.clear
    browser.close
    assert_equal [[:unsubscribed, "acme"], [:disconnect, "7"]], Journal.entries.last(2)
    assert_equal ["acme"], Tenant.left
  end

  def test_at_the_end_what_is_gone_is_nil
    browser = member("at=command")
    browser.forgotten
    User.gone << "2"
    browser.close
    assert_nil browser.result["error"]
    assert_equal [[:unsubscribed, nil], [:disconnect, "7"]], Journal.entries.last(2)
    assert_match(/MemberChannel: @friend is lost: .*there is no member 2/, browser.warnings.join)
  end

  def test_at_the_end_what_nothing_switches_to_is_nil
    { "at=nowhere" => "public", "at=first" => "public", "at=reader" => nil }.each do |at, friend|
      browser = member(at)
      browser.forgotten.close
      assert_nil browser.result["error"]
      assert_equal [[:unsubscribed, friend], [:disconnect, nil]], Journal.entries.last(2)
      assert_includes browser.warnings, "ApplicationCable::Connection: @current_user is lost: its created_at is not what it was"
      assert_equal at == "at=first", browser.warnings.join.include?("raised at the end of a connection: a callback failed")
    end
  end

  # The timer has had the connection rebuilt, without a look at the other channel.
  def test_at_the_end_of_what_was_rebuilt_before_too
    browser = member("at=work")
    browser.subscribe OTHER
    browser.forgotten.tick MEMBER, 0
    User.gone << "4"
    browser.close
    assert_nil browser.result["error"]
    assert_equal [[:unsubscribed, "acme"], [:unsubscribed, nil], [:disconnect, "7"]], Journal.entries.last(3)
  end

  def test_a_connection_that_cannot_be_without_an_identifier_is_lost
    browser = Browser.new(self, "?unkeepable=1").opened
    warning = "ApplicationCable::Connection: @current_user (a Thread::Mutex) cannot be kept between commands " \
      "when the object must be rebuilt: the browser will have to reconnect then"
    assert_equal [warning], browser.warnings
    browser.subscribe ECHO
    browser.forgotten.perform ECHO, "echo"
    assert_lost(/@current_user is lost: it cannot be kept/, browser)
    browser.still_forgotten.close
    assert_equal [[:unsubscribed, ECHO, nil], [:disconnect, nil]], Journal.entries.last(2)
  end

  def test_parameters_of_global_ids_are_kept
    browser = member("at=nowhere", "guest=7")
    browser.subscribe ECHO
    stream = browser.subscriptions[ECHO].keys.last
    assert_equal "acme", GlobalID.parse(stream.delete_prefix("echo:")).params["tenant"]
    browser.perform MEMBER, "keep_gid"
    browser.forgotten.perform MEMBER, "recall_gid"
    assert_equal [{ "gid" => "gid://test-app/Guest/7?tenant=acme" }], browser.said
    browser.unsubscribe ECHO
    browser.forgotten.subscribe ECHO
    assert_includes browser.subscriptions[ECHO], stream
  end

  def test_a_record_that_a_locator_does_not_find_is_lost
    browser = member("at=nowhere", "guest=7")
    browser.forgotten
    User.gone << "7"
    browser.perform MEMBER, "who"
    assert_lost(/@current_user is lost: a record was not found/, browser)
  end

  def test_state_is_that_of_one_connection_and_one_channel
    one, other = Array.new(2) { Browser.new(self, "?user=7").opened }
    one.forgotten
    one.instance_variable_set(:@state, other.state)
    one.subscribe ECHO
    assert_lost(/another's/, one)

    browser = member("at=command")
    browser.subscribe OTHER
    browser.forgotten
    states = browser.instance_variable_get(:@states)
    states[MEMBER], states[OTHER] = states[OTHER], states[MEMBER]
    browser.perform MEMBER, "who"
    assert_lost(/another's/, browser)
  end

  private
    def member(at, who = "member=7")
      Browser.new(self, "?tenant=acme&#{who}&#{at}").opened.tap { |browser| browser.subscribe MEMBER }
    end

    def assert_lost(message, browser)
      assert_equal "lost", browser.result.dig("error", "kind"), browser.result.inspect
      assert_match message, browser.result["error"]["message"]
    end

    # What the application takes for its own.
    def browser_errors
      LOG.string.lines.grep(/exception|Could not|\[catenary\]/) + Journal.entries.select { |event,| event == :rescued }
    end
end
