require_relative "test_helper"
require_relative "support/puma_server"

# Links when Puma stops or restarts.
class RestartTest < CallTest
  ECHO = '{"channel":"EchoChannel","room":"1"}'
  WAIT = '{"channel":"WaitChannel"}'

  def teardown
    @puma&.kill
  end

  def test_when_puma_stops_calls_finish_and_state_is_handed_over
    @puma = PumaServer.new
    assert_stops(@puma.link) { @puma.signal(:TERM) }
    @puma.wait_for_end
  end

  # The gem assumes after the last call that the Hash may have changed, until it writes the state.
  def test_when_puma_stops_unchanged_state_is_confirmed
    @puma = PumaServer.new
    link = @puma.link
    browser = opened(link)
    browser.perform ECHO, "remember", value: { "a" => [1] }
    browser.handed_over
    browser.perform ECHO, "echo"
    assert_nil browser.result["kept"]
    @puma.signal(:TERM)
    link.await_end
    assert_includes link.frames, { "kept" => browser.name, "ver" => browser.version }
    @puma.wait_for_end
  end

  def test_when_puma_stops_it_waits_until_all_states_are_handed_over
    @puma = PumaServer.new
    link = @puma.link
    opened(link).perform ECHO, "hand_over_slowly"
    assert_stops(link) { @puma.signal(:TERM) }
    @puma.wait_for_end
  end

  def test_a_hot_restart_in_single_mode_hands_over
    @puma = PumaServer.new
    link = @puma.link
    assert_stops(link) { @puma.signal(:USR2) }
    assert_answers @puma.link(link)
  end

  def test_each_worker_of_a_cluster_has_a_link
    @puma = PumaServer.new("-w", "2")
    one = @puma.link
    other = @puma.link(one)
    assert_equal [0, 1], [one, other].map { |link| link.hello["index"] }.sort
    assert_equal [2, 2], [one, other].map { |link| link.hello["count"] }
    assert_answers one, other
    assert_stops(one, other) { @puma.signal(:TERM) }
    @puma.wait_for_end
  end

  def test_a_phased_restart_hands_over
    @puma = PumaServer.new("-w", "1")
    link = @puma.link
    assert_stops(link) { @puma.signal(:USR1) }
    assert_answers @puma.link(link)
  end

  def test_a_hot_restart_of_a_preloading_cluster_hands_over
    @puma = PumaServer.new("-w", "1", "--preload")
    link = @puma.link
    assert_stops(link) { @puma.signal(:USR2) }
    assert_answers @puma.link(link)
  end

  def test_with_fork_worker_the_first_worker_keeps_its_link
    @puma = PumaServer.new("-w", "2", config: "fork_worker 0")
    one = @puma.link
    other = @puma.link(one)
    first, second = [one, other].sort_by { |link| link.hello["index"] }
    browser = opened(first)
    @puma.signal(:URG)
    second.await_end
    browser.perform ECHO, "echo", a: 1
    assert_equal [{ "a" => 1 }], browser.messages
    again = @puma.link(first, second)
    assert_equal 1, again.hello["index"]
    assert_answers again
    # The gem may miss the short restart of its server. If not, it has revoked the stop.
    first.await { |frames| [nil, "revoked"].include?(frames.filter_map { |frame| frame["going"] }.last) }
  end

  def test_the_exit_of_a_forked_child_does_not_affect_links
    @puma = PumaServer.new
    link = @puma.link
    browser = opened(link)
    browser.perform ECHO, "fork_and_exit"
    assert_kind_of Integer, browser.messages.first["child"]
    assert_answers link
    refute link.frames.any? { |frame| frame.key?("going") || frame.key?("bye") }
  end

  private
    # The processes of these links stop in order: a running call finishes, and state is handed over.
    def assert_stops(*links)
      waiting = links.map do |link|
        Browser.new(self, "?user=7", link: link, url: url).opened.tap do |browser|
          browser.subscribe WAIT
          browser.start WAIT, "wait", seconds: 1
          link.await { link.effects(browser.last_call).any? }
        end
      end
      browsers = links.map { |link| opened(link).tap { |browser| browser.perform ECHO, "remember", value: 1 } }
      yield
      links.zip(waiting, browsers) do |link, busy, browser|
        busy.finish
        assert_equal [{ "waiting" => true }, { "waited" => true }], busy.messages
        assert busy.result["kept"]
        assert link.frames.any? { |frame| frame.dig("channels", WAIT, "state") }, "its state is sent with its result at the latest"
        link.await_end
        assert_equal %w[began handed], link.frames.filter_map { |frame| frame["going"] }
        assert_equal({ "bye" => true }, link.frames.last)
        kept = link.frames.select { |frame| frame["kept"] == browser.name }.last
        assert_equal browser.version, kept["ver"]
        assert kept["channels"][ECHO]["state"]
      end
    end

    def assert_answers(*links)
      links.each do |link|
        browser = opened(link)
        browser.perform ECHO, "echo", a: 1
        assert_equal [{ "a" => 1 }], browser.messages
      end
    end

    def opened(link)
      Browser.new(self, "?user=7", link: link, url: url).opened.tap { |browser| browser.subscribe ECHO }
    end

    def url
      "http://app.test/cable?user=7"
    end
end
