require "test_helper"

# Whichever way calls come, they run on the gem's threads.
class ThreadsTest < CallTest
  GATE = { channel: "GateChannel" }.to_json

  def test_calls_by_post_run_on_threads_of_the_gem
    browser = Browser.new(self, "?user=7").opened
    browser.subscribe GATE
    browser.perform GATE, "translate"
    assert_match(/\Acatenary \d/, browser.said.first["thread"])
    assert_equal :en, I18n.locale
  end

  def test_a_post_whose_thread_the_application_kills_fails_and_the_next_one_does_not
    browser = Browser.new(self, "?user=7").opened
    browser.subscribe GATE
    assert_raises(ThreadError) { browser.perform GATE, "die" }
    Browser.new(self, "?user=7").opened
  end

  def test_a_fresh_thread_finds_nothing_of_the_one_that_starts_it
    Thread.current[:left] = Fiber[:left] = 1 if Fiber.respond_to?(:[])
    assert_equal [nil, nil], Catenary::Rails::FreshThread.run { [Thread.current[:left], (Fiber[:left] if Fiber.respond_to?(:[]))] }
  end

  def test_a_fresh_thread_raises_where_it_is_waited_for
    assert_raises(KeyError) { Catenary::Rails::FreshThread.run { raise KeyError } }
  end
end
