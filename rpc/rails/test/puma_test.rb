require_relative "test_helper"
require_relative "support/puma_server"

# Over TCP, with Puma in a process of its own, next to native Action Cable.
class PumaTest < CallTest
  ECHO = '{"channel":"EchoChannel","room":"1"}'

  def setup
    super
    @puma = PumaServer.new(tls: true)
    @port = @puma.port
  end

  def teardown
    @puma.kill
  end

  def test_a_conversation_is_the_same_as_natively
    frames = [
      { command: "subscribe", identifier: ECHO }, { command: "message", identifier: ECHO, data: '{"action":"echo","a":1}' },
      { command: "subscribe", identifier: '{"channel":"RejectChannel"}' }, { command: "message", identifier: ECHO, data: '{"action":"fail_with_argument"}' },
      { command: "message", identifier: ECHO, data: '{"action":"end_it"}' }
    ].map { |frame| JSON.generate(frame) }

    assert_equal native(frames), through_calls(frames)
  end

  def test_the_settings_contain_the_number_of_puma_threads
    assert_equal 2, post(v: 1, node: "n", calls: []).fetch("settings").fetch("threads")
  end

  def test_over_pumas_tls_frames_have_no_mac_and_travel_in_both_directions_at_once
    link = @puma.tls_link
    assert_equal "plain", link.headers["catenary-frames"]
    assert_equal "mac", @puma.tls_link(node: "n-other", headers: { "X-Forwarded-For" => "203.0.113.9" }).headers["catenary-frames"]

    browsers = Array.new(4) { Browser.new(self, link: link, url: "http://app.test/cable?user=7").opened.tap { |browser| browser.subscribe ECHO } }
    text = "x" * 5_000
    100.times do |n|
      browsers.each { |browser| browser.start ECHO, "echo", n: n, text: text }
      browsers.each(&:finish)
      assert_equal [[{ "n" => n, "text" => text }]] * 4, browsers.map(&:messages)
    end
    link.close
  end

  private
    def native(frames)
      socket = NativeSocket.new(@port, "/cable?user=7")
      [socket.read] + frames.flat_map { |frame| socket.write(frame); socket.read }
    ensure
      socket&.close
    end

    def through_calls(frames)
      headers = { "Host" => "127.0.0.1:#{@port}", "Origin" => "http://127.0.0.1:#{@port}", "Upgrade" => "websocket", "Connection" => "Upgrade" }
      request = { method: "GET", url: "http://127.0.0.1:#{@port}/cable?user=7", headers: headers.to_a, ip: "127.0.0.1" }
      opened = perform_call(do: "open", request: request, protocol: "")
      results = [opened] + frames.map { |frame| opened = perform_call(do: "frames", ver: opened["ver"], frames: [frame]) }
      results.flat_map { |result| result["ops"].map { |op| op.last if %w[send confirm reject].include?(op.first) } }.compact
    end

    def perform_call(**call)
      post(v: 1, node: "n", calls: [{ conn: "c-1", **call }]).fetch("results").first
    end

    def post(request)
      body = JSON.generate(request)
      answer = Net::HTTP.post(URI("http://127.0.0.1:#{@port}/_catenary"), body, Calls.sign(body))
      assert_equal "200", answer.code, answer.body
      JSON.parse(answer.body)
    end
end
