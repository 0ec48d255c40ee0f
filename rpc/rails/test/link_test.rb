require_relative "test_helper"

# A link to the application in this process.
class LinkTest < CallTest
  ECHO = '{"channel":"EchoChannel","room":"1"}'
  SLOW = '{"channel":"SlowChannel"}'

  def teardown
    links.each(&:close)
  end

  def test_a_link_says_hello
    link = open_link
    assert_equal "plain", link.headers["catenary-frames"]
    assert link.proved?
    assert_equal process, link.headers["catenary-process"]
    assert_equal({ "process" => process, "workers" => 4 }, link.hello.except("settings"))
    assert_equal "redis", link.hello["settings"]["cable"]["adapter"]
  end

  def test_calls_are_answered
    browser = Browser.new(self, "?user=7", link: open_link).opened
    browser.subscribe ECHO
    assert_equal %w[sub sub confirm], browser.kinds
    browser.perform ECHO, "echo", a: 1
    assert_equal [{ "a" => 1 }], browser.said
    browser.close
    assert_equal [:disconnect, "7"], Journal.entries.last
  end

  private
    def open_link(**options)
      LinkClient.pair(**options).tap { |link| links << link }
    end

    def links
      @links ||= []
    end

    def process
      endpoint.process.to_s
    end
end
