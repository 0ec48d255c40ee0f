require_relative "test_helper"

class SnapshotTest < CallTest
  include OverLink

  ECHO = '{"channel":"EchoChannel","room":"1"}'

  def setup
    super
    @browser = Browser.new(self, "?user=7").opened
    @browser.subscribe(ECHO)
    @browser.handed_over
  end

  def test_state_is_current_after_an_action_that_changes_no_instance_variable
    @browser.perform(ECHO, "echo", a: 1)
    assert_equal true, @browser.result["kept"]
  end

  def test_state_is_outdated_after_an_action_that_may_have_changed_it
    @browser.perform(ECHO, "remember", value: { "a" => [1] }, friend: "8")
    assert_nil @browser.result["kept"]
    @browser.handed_over
    @browser.perform(ECHO, "echo", a: 1)
    assert_nil @browser.result["kept"], "the list in the hash may have been changed"
  end
end
