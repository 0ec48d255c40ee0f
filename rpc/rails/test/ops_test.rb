require_relative "test_helper"

class OpsTest < Minitest::Test
  # A pub/sub that answers when it is told to.
  class Stalled
    attr_reader :asked, :answer

    def initialize
      @asked, @answer = Queue.new, Queue.new
    end

    def publish_early(*message)
      @asked << message
      @answer.pop
    end
  end

  class Watchless
    def watch(*)
    end
  end

  def test_a_command_does_not_wait_for_the_pub_sub_that_its_early_effects_go_to
    stalled = Stalled.new
    ops = Catenary::Rails::Ops.new("n:1", stalled, Watchless.new)
    ops.begin("n", 7)
    ops.record("send", "a")
    flush = Thread.new { ops.flush(1) }
    assert_equal ["n", "n:1", 7, 0, [["send", "a"]]], stalled.asked.pop

    Timeout.timeout(5) { ops.record("send", "b") }
    stalled.answer << true
    flush.join
    Thread.new { ops.flush(1) }.tap { stalled.answer << true }.join
    assert_equal [1, [["send", "b"]]], stalled.asked.pop.last(2)
    assert_equal [["send", "a"], ["send", "b"]], ops.finish
  end
end
