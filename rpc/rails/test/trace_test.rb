require_relative "test_helper"

class TraceTest < CallTest
  ECHO = '{"channel":"EchoChannel"}'

  def test_the_application_sees_the_trace_of_the_call_that_runs_it
    browser = Browser.new(self, "?user=7", headers: { "traceparent" => parent(1), "tracestate" => "browser=1" })
    browser.traceparent = parent(2)
    browser.opened.subscribe ECHO

    [parent(3), parent(4)].each do |traceparent|
      browser.traceparent = traceparent
      browser.perform ECHO, "trace"
      assert_equal [{ "traceparent" => traceparent }], browser.messages
    end

    browser.rebuilt.traceparent = parent(5)
    browser.perform ECHO, "trace"
    assert_equal [{ "traceparent" => parent(5) }], browser.messages
  end

  def test_without_a_trace_the_application_sees_what_the_browser_sent
    browser = Browser.new(self, headers: { "traceparent" => parent(1) }).opened
    browser.subscribe ECHO
    browser.perform ECHO, "trace"
    assert_equal [{ "traceparent" => parent(1) }], browser.messages
  end

  # The callback of docs/traces.md.
  def test_worker_callbacks_see_the_trace_of_commands_timers_and_blocks
    seen = []
    ActionCable::Server::Worker.set_callback :work, :around do |worker, work|
      seen << worker.connection.send(:request).env["HTTP_TRACEPARENT"]
      work.call
    end
    browser = Browser.new(self, "?user=7").opened
    browser.subscribe ECHO
    browser.subscribe '{"channel":"BlockChannel"}'
    seen.clear

    browser.traceparent = parent(1)
    browser.perform ECHO, "echo"
    browser.traceparent = parent(2)
    browser.tick ECHO, 0
    browser.traceparent = parent(3)
    browser.broadcast '{"channel":"BlockChannel"}', "raw", "1"
    assert_equal [parent(1), parent(2), parent(3)], seen
  end

  private
    def parent(n)
      "00-#{n.to_s * 32}-#{n.to_s * 16}-01"
    end
end
