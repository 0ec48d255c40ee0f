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
    assert_equal [nil, nil], Catenary::Rails::FreshThread.run { [Thread.current[:left], (Fiber[:left] if Fiber.respond_to?(:[]))] }
  end

  def test_the_exception_of_a_fresh_thread_is_raised_in_its_caller
    assert_raises(KeyError) { Catenary::Rails::FreshThread.run { raise KeyError } }
  end
end
