require_relative "test_helper"
require_relative "support/puma_server"

# What becomes of links when Puma ends or restarts.
class RestartTest < CallTest
  ECHO = '{"channel":"EchoChannel","room":"1"}'
  WAIT = '{"channel":"WaitChannel"}'

  def teardown
    @puma&.kill
  end

  def test_when_puma_ends_calls_are_finished_and_state_is_handed_over
    @puma = PumaServer.new
    assert_goes(@puma.link) { @puma.signal(:TERM) }
    @puma.wait_for_end
  end

  # Its state may have changed inside, as far as the gem saw after the last call; a closer look says that it has not.
  def test_when_puma_ends_catenary_is_told_that_it_has_all_of_the_state
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

  def test_a_hot_restart_in_single_mode
    @puma = PumaServer.new
    link = @puma.link
    assert_goes(link) { @puma.signal(:USR2) }
    assert_answers @puma.link(link)
  end

  def test_workers_of_a_cluster_have_a_link_each
    @puma = PumaServer.new("-w", "2")
    one = @puma.link
    other = @puma.link(one)
    assert_equal [0, 1], [one, other].map { |link| link.hello["index"] }.sort
    assert_equal [2, 2], [one, other].map { |link| link.hello["count"] }
    assert_answers one, other
    assert_goes(one, other) { @puma.signal(:TERM) }
    @puma.wait_for_end
  end

  def test_a_phased_restart
    @puma = PumaServer.new("-w", "1")
    link = @puma.link
    assert_goes(link) { @puma.signal(:USR1) }
    assert_answers @puma.link(link)
  end

  def test_a_hot_restart_of_a_cluster_that_preloads_the_application
    @puma = PumaServer.new("-w", "1", "--preload")
    link = @puma.link
    assert_goes(link) { @puma.signal(:USR2) }
    assert_answers @puma.link(link)
  end

  def test_a_worker_that_others_are_forked_from_stays
    @puma = PumaServer.new("-w", "2", config: "fork_worker 0")
    one = @puma.link
    other = @puma.link(one)
    stays, goes = [one, other].sort_by { |link| link.hello["index"] }
    browser = opened(stays)
    @puma.signal(:URG)
    goes.await_end
    browser.perform ECHO, "echo", a: 1
    assert_equal [{ "a" => 1 }], browser.said
    again = @puma.link(stays, goes)
    assert_equal 1, again.hello["index"]
    assert_answers again
    # Its server restarts in a moment that is easily missed; if it was noticed, it has been taken back.
    stays.await { |frames| [nil, "revoked"].include?(frames.filter_map { |frame| frame["going"] }.last) }
  end

  def test_a_child_of_a_worker_dies_alone
    @puma = PumaServer.new
    link = @puma.link
    browser = opened(link)
    browser.perform ECHO, "fork_and_exit"
    assert_kind_of Integer, browser.said.first["child"]
    assert_answers link
    refute link.frames.any? { |frame| frame.key?("going") || frame.key?("bye") }
  end

  private
    # The process that those links are to goes as it should: with a call under way and with state that has not been told.
    def assert_goes(*links)
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
        assert_equal [{ "waiting" => true }, { "waited" => true }], busy.said
        assert busy.result["kept"]
        assert link.frames.any? { |frame| frame.dig("channels", WAIT, "state") }, "its state goes with its result at the latest"
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
        assert_equal [{ "a" => 1 }], browser.said
      end
    end

    def opened(link)
      Browser.new(self, "?user=7", link: link, url: url).opened.tap { |browser| browser.subscribe ECHO }
    end

    def url
      "http://app.test/cable?user=7"
    end
end
