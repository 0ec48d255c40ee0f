require "test_helper"

# Calls run on the gem's threads, over a link and by POST.
class ThreadsTest < CallTest
  GATE = { channel: "GateChannel" }.to_json

  def test_a_post_runs_on_a_thread_of_the_gem
    browser = Browser.new(self, "?user=7").opened
    browser.subscribe GATE
    browser.perform GATE, "translate"
    assert_match(/\Acatenary \d/, browser.messages.first["thread"])
    assert_equal :en, I18n.locale
  end

  def test_a_post_whose_thread_the_application_kills_fails_alone
    browser = Browser.new(self, "?user=7").opened
    browser.subscribe GATE
    assert_raises(ThreadError) { browser.perform GATE, "die" }
    Browser.new(self, "?user=7").opened
  end

  def test_a_fresh_thread_inherits_nothing
    Thread.current[:left] = Fiber[:left] = 1 if Fiber.respond_to?(:[])
    found = Catenary::Rails::FreshThread.start { [Thread.current[:left], (Fiber[:left] if Fiber.respond_to?(:[]))] }.value
    assert_equal [nil, nil], found
  end

  def test_handshakes_that_do_not_overlap_run_on_one_thread
    threads = Catenary::Rails::HandshakeThreads.new
    used = 3.times.map do
      threads.run { Thread.current }.tap { |thread| Thread.pass until thread.stop? }
    end
    assert_equal 1, used.uniq.size
  end

  def test_handshakes_run_side_by_side
    threads = Catenary::Rails::HandshakeThreads.new
    outer, inner = threads.run { [Thread.current, threads.run { Thread.current }] }
    refute_equal outer, inner
  end

  def test_the_exception_of_a_handshake_is_raised_in_its_caller
    threads = Catenary::Rails::HandshakeThreads.new
    assert_raises(KeyError) { threads.run { raise KeyError } }
    assert_equal 1, threads.run { 1 }
  end

  def test_a_handshake_whose_thread_the_application_kills_fails_alone
    threads = Catenary::Rails::HandshakeThreads.new
    assert_raises(ThreadError) { threads.run { Thread.current.kill } }
    assert_equal 1, threads.run { 1 }
  end
end
