require_relative "test_helper"

class StateTest < CallTest
  ECHO = '{"channel":"EchoChannel","room":"1"}'

  def setup
    super
    @browser = Browser.new(self, "?user=7").opened
    @browser.subscribe(ECHO)
  end

  def test_a_short_call_to_a_process_that_does_not_know_the_objects_needs_the_state
    assert_equal({ "need" => "state" }, call(conn: @browser.name, do: "frames", ver: "b-old-1", frames: ["{}"]))
  end

  # live_limit is 50 here.
  def test_those_who_only_listen_do_not_push_out_who_acts
    listening = Browser.new(self, "?user=8").opened
    listening.subscribe(ECHO)
    @browser.perform(ECHO, "echo", a: 1)
    51.times { Browser.new(self, "?user=9").opened.subscribe(ECHO) }

    assert_equal({ "need" => "state" }, listening.perform(ECHO, "echo", a: 1))
    @browser.perform(ECHO, "echo", a: 2)
    assert_equal ["send"], @browser.kinds
  end

  def test_another_node_ends_a_connection_without_knowing_its_version
    Journal.clear
    assert_equal 200, call(conn: @browser.name, do: "close")["status"]
    assert_equal %i[unsubscribed disconnect], Journal.entries.map(&:first) & %i[unsubscribed disconnect]
    assert_equal({ "need" => "state" }, call(conn: @browser.name, do: "close"))
  end

  def test_instance_variables_are_the_same_after_a_rebuild
    @browser.perform(ECHO, "remember", value: { "a" => [1, "ü"] }, friend: "8")
    @browser.perform(ECHO, "recall")
    live = @browser.said
    @browser.forgotten.perform(ECHO, "recall")

    assert_equal 1, live.first.delete("visits")
    assert_equal 2, @browser.said.first.delete("visits")
    expected = { "memory" => { "a" => [1, "ü"] }, "set" => [1, "two"], "when" => 300, "started" => "2020-01-01T00:00:00.000Z", "friend" => "8",
      "self" => true, "user" => "7" }
    assert_equal expected, @browser.said.first.except("visits")
    assert_equal expected, live.first.except("visits")
  end

  def test_a_value_comes_back_as_what_it_was
    tally = Hash.new(0).merge("a" => 1)
    values = [BigDecimal("1.5"), [BigDecimal("2")], { price: BigDecimal("3") }, "<b>".html_safe, "\xC3\xA9".b, "\xE9".dup.force_encoding("ISO-8859-1"),
      tally, { "a" => 1 }.with_indifferent_access, { a: [1, "ü", nil] }, :a, 1.5, Set[1]]
    values.each do |value|
      back = Catenary::Rails::StateCodec.decode(*Catenary::Rails::StateCodec.encode(value))
      assert_equal [value.class, Marshal.dump(value)], [back.class, Marshal.dump(back)]
    end
  end

  def test_nothing_is_repeated_by_a_rebuild
    Journal.clear
    @browser.forgotten.perform(ECHO, "echo", a: 1)
    assert_equal ["send"], @browser.kinds
    assert_empty Journal.entries - [[:before_command]] # which is of the command itself
    @browser.perform(ECHO, "stop_everything")
    assert_equal %w[unsub unsub], @browser.kinds
  end

  def test_a_value_that_cannot_be_kept_is_unset_with_one_warning
    @browser.perform(ECHO, "keep_proc")
    @browser.perform(ECHO, "has_proc")
    assert_equal [{ "proc" => "Proc" }], @browser.said

    assert_equal ["EchoChannel: @proc (a Proc) cannot be kept between commands when the object must be rebuilt"], @browser.warnings
    @browser.forgotten.perform(ECHO, "has_proc")
    assert_equal [{ "proc" => "NilClass" }], @browser.said
    assert_nil @browser.result["warnings"]
  end

  def test_a_hash_that_loses_its_block_is_warned_of
    @browser.perform(ECHO, "keep_lists")
    assert_equal ["EchoChannel: @lists (a Hash with a block) comes back without its block when the object must be rebuilt"], @browser.warnings
    @browser.forgotten.perform(ECHO, "recall_lists")
    assert_equal [{ "lists" => { "a" => [1] }, "missing" => nil }], @browser.said
  end

  def test_too_much_state_is_lost
    @browser.perform(ECHO, "keep_much")
    @browser.perform(ECHO, "echo")
    assert_equal 1, @browser.ops.size
    @browser.forgotten.perform(ECHO, "echo")
    assert_equal "lost", @browser.result["error"]["kind"]
  end

  def test_the_end_of_a_connection_with_too_much_state_runs_its_callbacks
    @browser.perform(ECHO, "keep_much")
    @browser.perform(ECHO, "keep_much_in_the_connection")
    @browser.forgotten.close
    assert_nil @browser.result["error"]
    assert_equal [[:unsubscribed, ECHO, nil], [:disconnect, "7"]], Journal.entries.last(2)
  end

  def test_a_record_that_is_gone
    @browser.perform(ECHO, "remember", value: 1, friend: "404")
    @browser.forgotten.perform(ECHO, "recall")
    assert_equal "lost", @browser.result["error"]["kind"]
    assert_match(/@friend is lost/, @browser.result["error"]["message"])
  end

  def test_an_identifier_that_is_gone_loses_the_connection_but_not_its_end
    @browser.forgotten
    User.gone << "7"
    @browser.perform(ECHO, "echo")
    assert_equal "lost", @browser.result["error"]["kind"]
    assert_match(/@current_user/, @browser.result["error"]["message"])

    @browser.still_forgotten.close
    assert_equal [[:unsubscribed, ECHO, nil], [:disconnect, nil]], Journal.entries.last(2)
  ensure
    User.gone.clear
  end

  def test_a_forged_state_is_lost
    @browser.forgotten
    @browser.instance_variable_set(:@state, @browser.state.sub(/..\z/, "xx"))
    @browser.perform(ECHO, "echo")
    assert_equal "lost", @browser.result["error"]["kind"]
  end

  def test_unloading_the_classes_forgets_the_objects
    reloader = ::Rails.application.reloader.new
    reloader.class_unload! { }
    reloader.complete!
    assert_equal "state", @browser.perform(ECHO, "echo")["need"]
  end

  def test_the_least_recently_used_objects_are_forgotten
    others = Array.new(60) { Browser.new(self, "?user=1").opened }
    assert_equal "state", @browser.perform(ECHO, "echo")["need"]
    refute others.last.frames('{"command":"x"}').key?("need")
  end
end
