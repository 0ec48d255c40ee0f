require_relative "test_helper"

class StateTest < CallTest
  ECHO = '{"channel":"EchoChannel","room":"1"}'

  def setup
    super
    @browser = Browser.new(self, "?user=7").opened
    @browser.subscribe(ECHO)
  end

  def test_a_short_call_to_a_process_without_the_objects_needs_the_state
    assert_equal({ "need" => "state" }, call(conn: @browser.name, do: "frames", ver: "b-old-1", frames: ["{}"]))
  end

  # live_limit is 50 here.
  def test_connections_that_only_listen_do_not_evict_one_that_acts
    listening = Browser.new(self, "?user=8").opened
    listening.subscribe(ECHO)
    @browser.perform(ECHO, "echo", a: 1)
    51.times { Browser.new(self, "?user=9").opened.subscribe(ECHO) }

    assert_equal({ "need" => "state" }, listening.perform(ECHO, "echo", a: 1))
    @browser.perform(ECHO, "echo", a: 2)
    assert_equal ["send"], @browser.kinds
  end

  def test_another_node_closes_a_connection_without_knowing_its_version
    Journal.clear
    assert_equal 200, call(conn: @browser.name, do: "close")["status"]
    assert_equal %i[unsubscribed disconnect], Journal.entries.map(&:first) & %i[unsubscribed disconnect]
    assert_equal({ "need" => "state" }, call(conn: @browser.name, do: "close"))
  end

  def test_instance_variables_are_the_same_after_a_rebuild
    @browser.perform(ECHO, "remember", value: { "a" => [1, "ü"] }, friend: "8")
    @browser.perform(ECHO, "recall")
    live = @browser.messages
    @browser.rebuilt.perform(ECHO, "recall")

    assert_equal 1, live.first.delete("visits")
    assert_equal 2, @browser.messages.first.delete("visits")
    expected = { "memory" => { "a" => [1, "ü"] }, "set" => [1, "two"], "when" => 300, "started" => "2020-01-01T00:00:00.000Z", "friend" => "8",
      "self" => true, "user" => "7" }
    assert_equal expected, @browser.messages.first.except("visits")
    assert_equal expected, live.first.except("visits")
  end

  def test_values_are_the_same_after_encoding_and_decoding
    counts = Hash.new(0).merge("a" => 1)
    values = [BigDecimal("1.5"), [BigDecimal("2")], { price: BigDecimal("3") }, "<b>".html_safe, "\xC3\xA9".b, "\xE9".dup.force_encoding("ISO-8859-1"),
      counts, { "a" => 1 }.with_indifferent_access, { a: [1, "ü", nil] }, :a, 1.5, Set[1]]
    values.each do |value|
      back = Catenary::Rails::StateCodec.decode(*Catenary::Rails::StateCodec.encode(value))
      assert_equal [value.class, Marshal.dump(value)], [back.class, Marshal.dump(back)]
    end
  end

  def test_a_rebuild_repeats_no_effect_and_no_callback
    Journal.clear
    @browser.rebuilt.perform(ECHO, "echo", a: 1)
    assert_equal ["send"], @browser.kinds
    assert_empty Journal.entries - [[:before_command]] # that of the command itself
    @browser.perform(ECHO, "stop_everything")
    assert_equal %w[unsub unsub], @browser.kinds
  end

  def test_an_unserializable_value_is_nil_after_a_rebuild_with_one_warning
    @browser.perform(ECHO, "keep_proc")
    @browser.perform(ECHO, "has_proc")
    assert_equal [{ "proc" => "Proc" }], @browser.messages

    assert_equal ["EchoChannel: @proc (a Proc) cannot be serialized and is lost when the object is rebuilt"], @browser.warnings
    @browser.rebuilt.perform(ECHO, "has_proc")
    assert_equal [{ "proc" => "NilClass" }], @browser.messages
    assert_nil @browser.result["warnings"]
  end

  def test_a_hash_loses_its_block_in_a_rebuild_with_one_warning
    @browser.perform(ECHO, "keep_lists")
    assert_equal ["EchoChannel: @lists (a Hash with a block) loses its block when the object is rebuilt"], @browser.warnings
    @browser.rebuilt.perform(ECHO, "recall_lists")
    assert_equal [{ "lists" => { "a" => [1] }, "missing" => nil }], @browser.messages
  end

  def test_state_over_the_limit_is_lost
    @browser.perform(ECHO, "keep_much")
    @browser.perform(ECHO, "echo")
    assert_equal 1, @browser.ops.size
    @browser.rebuilt.perform(ECHO, "echo")
    assert_equal "lost", @browser.result["error"]["kind"]
  end

  def test_closing_a_connection_with_state_over_the_limit_runs_its_callbacks
    @browser.perform(ECHO, "keep_much")
    @browser.perform(ECHO, "keep_much_in_the_connection")
    @browser.rebuilt.close
    assert_nil @browser.result["error"]
    assert_equal [[:unsubscribed, ECHO, nil], [:disconnect, "7"]], Journal.entries.last(2)
  end

  def test_a_record_that_no_longer_exists_is_lost
    @browser.perform(ECHO, "remember", value: 1, friend: "404")
    @browser.rebuilt.perform(ECHO, "recall")
    assert_equal "lost", @browser.result["error"]["kind"]
    assert_match(/@friend is lost/, @browser.result["error"]["message"])
  end

  def test_without_its_identifier_a_connection_is_lost_and_still_runs_its_callbacks
    @browser.rebuilt
    User.gone << "7"
    @browser.perform(ECHO, "echo")
    assert_equal "lost", @browser.result["error"]["kind"]
    assert_match(/@current_user/, @browser.result["error"]["message"])

    @browser.rebuilt_from_known_state.close
    assert_equal [[:unsubscribed, ECHO, nil], [:disconnect, nil]], Journal.entries.last(2)
  ensure
    User.gone.clear
  end

  def test_a_forged_state_is_refused
    @browser.rebuilt
    @browser.instance_variable_set(:@state, @browser.state.sub(/..\z/, "xx"))
    @browser.perform(ECHO, "echo")
    assert_equal "lost", @browser.result["error"]["kind"]
  end

  def test_unloading_classes_evicts_the_objects
    reloader = ::Rails.application.reloader.new
    reloader.class_unload! { }
    reloader.complete!
    assert_equal "state", @browser.perform(ECHO, "echo")["need"]
  end

  def test_the_least_recently_used_objects_are_evicted
    others = Array.new(60) { Browser.new(self, "?user=1").opened }
    assert_equal "state", @browser.perform(ECHO, "echo")["need"]
    refute others.last.frames('{"command":"x"}').key?("need")
  end
end
