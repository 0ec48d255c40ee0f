require_relative "test_helper"

class StreamTest < CallTest
  BLOCKS = '{"channel":"BlockChannel"}'
  ECHO = '{"channel":"EchoChannel","room":"1"}'
  SLOW = '{"channel":"SlowChannel"}'

  def setup
    super
    @browser = Browser.new(self, "?user=7").opened
  end

  def test_streams_with_a_block_callback_or_coder_have_a_token
    @browser.subscribe(BLOCKS)
    tokens = @browser.ops("sub").to_h { |_, _, stream, token| [stream, token.nil?] }
    assert_equal({ "raw" => false, "decoded" => false, "method" => false, "failing" => false, "plain" => true }, tokens)
  end

  def test_a_broadcast_runs_the_block_on_the_live_object
    @browser.subscribe(BLOCKS)
    @browser.broadcast(BLOCKS, "raw", '{"a":1}')
    assert_equal [{ "raw" => '{"a":1}', "seen" => 1 }], @browser.messages
    @browser.broadcast(BLOCKS, "raw", "x")
    assert_equal [{ "raw" => "x", "seen" => 2 }], @browser.messages
    @browser.broadcast(BLOCKS, "decoded", '{"a":1}')
    assert_equal [{ "decoded" => { "a" => 1 } }], @browser.messages
    @browser.broadcast(BLOCKS, "method", "x")
    assert_equal [{ "heard" => "x" }], @browser.messages
    @browser.broadcast(BLOCKS, "failing", "x")
    assert_empty @browser.ops
    assert_match(/a block failed/, LOG.string)
  end

  def test_the_name_of_a_stream_must_be_utf8
    @browser.subscribe(ECHO)
    @browser.perform(ECHO, "follow_bytes", hex: "c3a9")
    assert_equal [["sub", ECHO, "é", nil]], @browser.ops
    @browser.perform(ECHO, "follow_bytes", hex: "ff")
    assert_equal [{ "rescued" => 'cannot stream from "\\xFF": catenary needs names in UTF-8' }], @browser.messages
  end

  def test_a_broadcast_for_a_stream_that_was_stopped_does_nothing
    @browser.subscribe(BLOCKS)
    @browser.perform(BLOCKS, "unfollow", stream: "raw")
    assert_equal [["unsub", BLOCKS, "raw"]], @browser.ops
    @browser.broadcast(BLOCKS, "raw", "x")
    assert_empty @browser.ops
    assert_nil @browser.result["error"]
  end

  def test_a_channel_that_redefines_transmit_sees_every_broadcast
    identifier = '{"channel":"StampedChannel"}'
    @browser.subscribe(identifier)
    assert_kind_of String, @browser.ops("sub").first.last
    @browser.broadcast(identifier, "stamped", '{"a":1}')
    assert_equal [{ "stamp" => 1, "a" => 1 }], @browser.messages
  end

  def test_other_connections_do_not_evict_one_with_blocks
    @browser.subscribe(BLOCKS)
    60.times { Browser.new(self, "?user=1").opened }
    @browser.broadcast(BLOCKS, "raw", "x")
    assert_equal 1, @browser.messages.size
  end

  def test_without_its_block_a_connection_is_lost_and_still_runs_its_callbacks
    @browser.subscribe(BLOCKS)
    @browser.rebuilt.broadcast(BLOCKS, "raw", "x")
    assert_equal "lost", @browser.result["error"]["kind"]
    @browser.rebuilt_from_known_state.close
    assert_equal [:disconnect, "7"], Journal.entries.last
  end

  def test_without_a_link_effects_after_the_result_are_lost
    @browser.subscribe(ECHO)
    @browser.perform(ECHO, "later")
    assert_empty @browser.ops
    wait_for { LOG.string.include?("[catenary] lost 1 effects") }
  end

  def test_without_a_link_the_result_of_a_slow_command_has_all_effects
    @browser.subscribe(SLOW)
    assert_equal %w[sub send confirm], @browser.kinds
  end
end
