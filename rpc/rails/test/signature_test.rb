require_relative "test_helper"

class SignatureTest < CallTest
  EMPTY = { v: 1, node: "n", calls: [] }.freeze
  REMOTE = { "REMOTE_ADDR" => "203.0.113.9" }.freeze

  def test_a_signed_call_is_answered
    assert_equal 200, post(EMPTY).first
  end

  def test_a_wrong_secret_is_named_to_a_peer_on_this_machine
    assert_refused(/the signature is wrong.*secret_key_base/, *post(EMPTY, secret: "other"))
  end

  def test_an_old_or_future_call_is_refused
    assert_refused(/clocks/, *post(EMPTY, time: Time.now.to_i - 62))
    assert_refused(/clocks/, *post(EMPTY, time: Time.now.to_i + 62))
    assert_equal 200, post(EMPTY, time: Time.now.to_i - 55).first
  end

  def test_a_replayed_call_is_refused
    nonce = SecureRandom.hex(16)
    assert_equal 200, post(EMPTY, nonce: nonce).first
    assert_refused(/replay/, *post(EMPTY, nonce: nonce))
  end

  def test_an_unsigned_call_is_refused
    assert_refused(/not signed/, *http("POST", "/_catenary", "{}"))
  end

  def test_remote_peers_get_the_applications_404
    unknown = http("POST", "/unknown", env: REMOTE)
    [REMOTE, { "HTTP_X_FORWARDED_FOR" => "203.0.113.9" }, { "HTTP_FORWARDED" => "for=203.0.113.9" }].each do |env|
      status, headers, body = post(EMPTY, secret: "other", env: env)
      assert_equal [404, unknown[2]], [status, body]
      assert_equal unknown[1].keys - %w[X-Request-Id X-Runtime], headers.keys - %w[X-Request-Id X-Runtime]
    end
  end

  def test_refusals_do_not_flood_the_log
    refusals = Catenary::Rails::Refusals.new
    100.times { refusals.log "the signature is wrong", "203.0.113.9" }
    assert_includes LOG.string, "[catenary] refused a call from 203.0.113.9: the signature is wrong"
    assert_operator LOG.string.scan("refused a call").size, :<=, 2 * Catenary::Rails::Refusals::PER_MINUTE
  end

  def test_other_requests_pass
    assert_equal [200, "up"], http("GET", "/up").values_at(0, 2)
    assert_equal 404, http("GET", "/_catenary").first
  end

  def test_an_unsupported_version_is_answered_with_the_supported_ones
    status, _, body = post({ v: 2, calls: [] })
    assert_equal [400, { "error" => "version", "supported" => [1] }], [status, JSON.parse(body)]
  end

  private
    def assert_refused(cause, status, headers, body)
      assert_equal [403, "text/plain; charset=utf-8"], [status, headers["content-type"] || headers["Content-Type"]]
      assert_match cause, body
    end
end
