require_relative "test_helper"

# A rebuilt connection has the records that it had before: those of its own tenant, or none.
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
    Member.created["public"] = Time.utc(2020)
    super
  end

  def test_records_are_looked_up_inside_of_command_callbacks
    browser = member("at=command")
    browser.perform MEMBER, "who"
    live = browser.messages
    assert_equal [ACME.merge("tenant" => "acme")], live
    browser.rebuilt.perform MEMBER, "who"
    assert_equal live, browser.messages
    browser.rebuilt.unsubscribe MEMBER
    assert_equal [:unsubscribed, "acme"], Journal.entries.last
  end

  def test_records_are_looked_up_inside_of_worker_callbacks
    browser = member("at=work")
    browser.tick MEMBER, 0
    live = browser.messages
    assert_equal [ACME.merge("tenant" => "acme")], live
    browser.rebuilt.tick MEMBER, 0
    assert_equal live, browser.messages
    browser.rebuilt.close
    assert_equal [[:unsubscribed, "acme"], [:disconnect, "7"]], Journal.entries.last(2)
  end

  # The callback reads the instance variable, not the reader.
  def test_command_callbacks_can_use_a_record_in_a_variable_of_the_connection
    browser = member("at=variable")
    browser.rebuilt.perform MEMBER, "who"
    assert_equal [ACME.merge("tenant" => "acme")], browser.messages
  end

  def test_records_of_other_channels_are_not_looked_up
    browser = member("at=command")
    browser.subscribe OTHER
    Member.searches.clear
    User.gone << "4"
    browser.rebuilt.perform MEMBER, "who"
    assert_equal %w[2 3 7], Member.searches.sort

    browser.perform MEMBER, "who"
    assert_equal %w[2 3 7], Member.searches.sort
    browser.perform OTHER, "who"
    assert_lost(/MemberChannel: @friend is lost/, browser)
  end

  def test_a_record_that_a_callback_has_replaced_is_not_looked_up
    browser = member("at=replaced")
    browser.rebuilt
    Member.searches.clear
    browser.perform MEMBER, "who"
    assert_equal [ACME.merge("tenant" => "acme")], browser.messages
    assert_equal %w[2 3], Member.searches.sort
    assert browser.handed_over["state"]
  end

  def test_a_lookup_does_not_change_the_state
    browser = member("at=command")
    browser.subscribe OTHER
    browser.rebuilt.perform OTHER, "who"
    assert_equal true, browser.result["kept"]
    refute browser.result.key?("state")
    refute browser.result["channels"][OTHER].key?("state")
  end

  def test_writing_the_state_does_not_look_up_records
    browser = member("at=command")
    browser.rebuilt
    Member.searches.clear
    browser.beat
    ledger = endpoint.live_connections.take(browser.name, browser.version).ledger
    ledger.instance_variable_get(:@entries).clear
    assert_equal browser.state, ledger.take_missing([])[:state]
    assert_empty Member.searches
  end

  def test_a_record_of_another_tenant_is_lost
    browser = member("at=nowhere")
    browser.rebuilt.perform MEMBER, "who"
    assert_lost(/@current_user is lost: its created_at has changed/, browser)

    browser = member("at=reader")
    browser.rebuilt.perform MEMBER, "who"
    assert_lost(/@current_user is lost: its created_at has changed/, browser)
    assert_empty browser_errors
  end

  def test_a_record_of_a_channel_that_no_longer_exists_is_lost
    browser = member("at=command")
    browser.rebuilt
    User.gone << "3"
    browser.perform MEMBER, "who"
    assert_lost(/MemberChannel: @friends is lost/, browser)
    assert_equal ["acme"], Tenant.left.last(1), "the ensure blocks of the callbacks have run"
    assert_empty browser_errors
  end

  def test_effects_of_commands_before_a_loss_arrive
    browser = member("at=command")
    browser.subscribe ECHO
    browser.rebuilt
    User.gone << "2"
    browser.frames(*[[ECHO, "echo", 1], [ECHO, "echo", 2], [MEMBER, "who", 3]].map do |identifier, action, n|
      { command: "message", identifier: identifier, data: JSON.generate(action: action, n: n) }
    end)
    assert_lost(/@friend is lost/, browser)
    assert_equal [1, 2], carrier.effects(browser.last_call).map { |_, frame| JSON.parse(frame).dig("message", "n") } if carrier
  end

  def test_in_an_unsubscribe_a_lost_record_is_nil
    browser = member("at=command")
    browser.rebuilt
    User.gone << "2"
    browser.unsubscribe MEMBER
    assert_nil browser.result["error"]
    assert_equal [:unsubscribed, nil], Journal.entries.last
    assert_match(/MemberChannel: @friend is lost/, LOG.string)
  end

  # Natively they are in memory, although no command callback has switched to the tenant.
  def test_at_close_records_of_the_tenant_are_found
    browser = member("at=command")
    browser.rebuilt.close
    assert_equal [[:unsubscribed, "acme"], [:disconnect, "7"]], Journal.entries.last(2)
    assert_empty browser.warnings
    assert_equal "public", Tenant.current
    assert_empty browser_errors
  end

  def test_at_close_command_callbacks_run_only_for_records_not_found_without_them
    browser = member("at=work")
    browser.rebuilt
    Tenant.left.clear
    browser.close
    assert_equal [[:unsubscribed, "acme"], [:disconnect, "7"]], Journal.entries.last(2)
    assert_equal ["acme"], Tenant.left
  end

  def test_at_close_a_lost_record_is_nil
    browser = member("at=command")
    browser.rebuilt
    User.gone << "2"
    browser.close
    assert_nil browser.result["error"]
    assert_equal [[:unsubscribed, nil], [:disconnect, "7"]], Journal.entries.last(2)
    assert_match(/MemberChannel: @friend is lost: .*there is no member 2/, browser.warnings.join)
  end

  def test_at_close_a_record_of_a_tenant_without_callback_is_nil
    { "at=nowhere" => "public", "at=first" => "public", "at=reader" => nil }.each do |at, friend|
      browser = member(at)
      browser.rebuilt.close
      assert_nil browser.result["error"]
      assert_equal [[:unsubscribed, friend], [:disconnect, nil]], Journal.entries.last(2)
      assert_includes browser.warnings, "ApplicationCable::Connection: @current_user is lost: its created_at has changed"
      assert_equal at == "at=first", browser.warnings.join.include?("raised while a connection closed: a callback failed")
    end
  end

  # A timer rebuilds the connection, which does not look up records of the other channel.
  def test_at_close_records_are_found_for_a_connection_rebuilt_earlier
    browser = member("at=work")
    browser.subscribe OTHER
    browser.rebuilt.tick MEMBER, 0
    User.gone << "4"
    browser.close
    assert_nil browser.result["error"]
    assert_equal [[:unsubscribed, "acme"], [:unsubscribed, nil], [:disconnect, "7"]], Journal.entries.last(3)
  end

  def test_a_connection_with_an_unserializable_identifier_is_lost
    browser = Browser.new(self, "?unkeepable=1").opened
    warning = "ApplicationCable::Connection: @current_user (a Thread::Mutex) cannot be serialized " \
      "and is lost when the object is rebuilt: the browser must reconnect then"
    assert_equal [warning], browser.warnings
    browser.subscribe ECHO
    browser.rebuilt.perform ECHO, "echo"
    assert_lost(/@current_user is lost: it cannot be serialized/, browser)
    browser.rebuilt_from_known_state.close
    assert_equal [[:unsubscribed, ECHO, nil], [:disconnect, nil]], Journal.entries.last(2)
  end

  def test_parameters_of_global_ids_are_kept
    browser = member("at=nowhere", "guest=7")
    browser.subscribe ECHO
    stream = browser.subscriptions[ECHO].keys.last
    assert_equal "acme", GlobalID.parse(stream.delete_prefix("echo:")).params["tenant"]
    browser.perform MEMBER, "keep_gid"
    browser.rebuilt.perform MEMBER, "recall_gid"
    assert_equal [{ "gid" => "gid://test-app/Guest/7?tenant=acme" }], browser.messages
    browser.unsubscribe ECHO
    browser.rebuilt.subscribe ECHO
    assert_includes browser.subscriptions[ECHO], stream
  end

  def test_a_record_that_a_custom_locator_does_not_find_is_lost
    browser = member("at=nowhere", "guest=7")
    browser.rebuilt
    User.gone << "7"
    browser.perform MEMBER, "who"
    assert_lost(/@current_user is lost: a record was not found/, browser)
  end

  def test_state_of_another_connection_or_channel_is_refused
    one, other = Array.new(2) { Browser.new(self, "?user=7").opened }
    one.rebuilt
    one.instance_variable_set(:@state, other.state)
    one.subscribe ECHO
    assert_lost(/another's/, one)

    browser = member("at=command")
    browser.subscribe OTHER
    browser.rebuilt
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

    # Errors that the application would take for its own.
    def browser_errors
      LOG.string.lines.grep(/exception|Could not|\[catenary\]/) + Journal.entries.select { |event,| event == :rescued }
    end
end
