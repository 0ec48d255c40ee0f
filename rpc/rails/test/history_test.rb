require_relative "test_helper"

# Broadcasts that are numbered and kept.
class HistoryTest < CallTest
  HEAD = "\t \t \n\r\n\r"

  def setup
    super
    @redis = ::Redis.new(url: REDIS.url)
    @redis.flushall
  end

  def teardown
    @redis.close
    super
  end

  def test_a_broadcast_is_numbered_and_kept
    published = hear("chat:1") { 2.times { |n| publish %({"n":#{n}}) } }
    epoch = @redis.hget("{_catenary:history:chat:1}:head", "epoch")
    assert_equal [%({"n":0}), %({"n":1})], published.map { |payload| payload.split(HEAD).first }
    assert_equal [[epoch, 1], [epoch, 2]], published.map { |payload| number(payload) }
    assert_equal [{ "n" => 0 }, { "n" => 1 }], published.map { |payload| ActiveSupport::JSON.decode(payload) }
    kept = @redis.xrange("{_catenary:history:chat:1}")
    assert_equal [["1-0", %({"n":0})], ["2-0", %({"n":1})]], kept.map { |id, entry| [id, entry["p"]] }
    assert_in_delta Time.now.to_i, kept.last.last["t"].to_i, 5
    assert_includes 1..60, @redis.ttl("{_catenary:history:chat:1}")
    assert_includes 1..60, @redis.ttl("{_catenary:history:chat:1}:head")
  end

  def test_only_the_latest_are_kept
    5.times { |n| publish n.to_s, history("chat:*" => { limit: 3 }) }
    assert_equal %w[3-0 4-0 5-0], @redis.xrange("{_catenary:history:chat:1}").map(&:first)
  end

  def test_a_flush_and_a_restart_of_redis_begin_an_epoch
    epochs = 3.times.map do |n|
      @redis.flushall if n == 1
      @redis.hset "{_catenary:history:chat:1}:head", "run", "another server" if n == 2
      publish "1"
      assert_equal "1", @redis.hget("{_catenary:history:chat:1}:head", "offset")
      @redis.hget("{_catenary:history:chat:1}:head", "epoch")
    end
    assert_equal 3, epochs.uniq.size
  end

  def test_the_first_pattern_that_matches_counts
    history = history("chat:*" => { limit: 1 }, "exact" => {}, "*:new:*" => { ttl: 2.minutes })
    kept, others = ["chat:", "chat:1", "chat:\n1", "exact", "a:new:b", ":new:"], ["chat", "exactly", "a:new", "Chat:1", ""]
    assert_equal kept, (kept + others).select { |stream| history.rule(stream) }
    assert_equal [[1, 300], [100, 300], [100, 120]], %w[chat:1 exact a:new:b].map { |stream| history.rule(stream).to_a.last(2) }
    refute_predicate history({}), :any?
    assert_raises(ArgumentError) { history("chat:*" => { limit: 0 }) }
  end

  def test_the_settings_name_the_streams
    assert_nil settings["history"]
    configure("chat:*" => { limit: 2 }) do
      assert_equal({ "streams" => [{ "pattern" => "chat:*", "limit" => 2, "ttl" => 300 }] }, settings["history"])
    end
  end

  private
    def history(rules = { "chat:*" => { ttl: 60 } })
      configure(rules) { Catenary::Rails::History.new(::Rails.application) }
    end

    def publish(payload, history = history())
      history.publish @redis, "chat:1", payload, history.rule("chat:1")
    end

    def configure(rules)
      config = ::Rails.application.config.catenary
      before, config.history = config.history, rules
      yield
    ensure
      config.history = before
    end

    # Returns the payloads that are published on a topic during the block.
    def hear(topic)
      heard, live = [], Queue.new
      subscriber = ::Redis.new(url: REDIS.url)
      thread = Thread.new do
        subscriber.subscribe(topic) do |on|
          on.subscribe { live << true }
          on.message { |_, payload| payload == "end" ? subscriber.unsubscribe : heard << payload }
        end
      end
      live.pop
      yield
      @redis.publish topic, "end"
      thread.join
      heard
    ensure
      subscriber.close
    end

    def number(payload)
      bits = payload.split(HEAD).last.chars.map { |char| " \t\n\r".index(char).to_s(2).rjust(2, "0") }.join
      [bits[0, 64].to_i(2).to_s(16).rjust(16, "0"), bits[64, 64].to_i(2)]
    end
end
