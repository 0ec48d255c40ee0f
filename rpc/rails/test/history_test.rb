require_relative "test_helper"
require "tempfile"

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
      @redis.hset "{_catenary:history:chat:1}:head", "server", "another" if n == 2
      publish "1"
      assert_equal "1", @redis.hget("{_catenary:history:chat:1}:head", "offset")
      @redis.hget("{_catenary:history:chat:1}:head", "epoch")
    end
    assert_equal 3, epochs.uniq.size
  end

  def test_an_epoch_knows_when_it_began_only_if_redis_has_been_replaced
    head = "{_catenary:history:chat:1}:head"
    publish "1"
    assert_nil @redis.hget(head, "began")
    @redis.hset head, "server", "another"
    publish "2"
    assert_in_delta @redis.time.first, @redis.hget(head, "began").to_i, 5
    @redis.hset head, "began", "7"
    publish "3"
    assert_equal "7", @redis.hget(head, "began")
    @redis.hset head, "server", "another"
    publish "4"
    assert_operator @redis.hget(head, "began").to_i, :>, 7
    @redis.del head
    publish "5"
    assert_nil @redis.hget(head, "began")
  end

  # As the pool of redis-client that Rails 8.2 uses.
  class Pool
    def initialize(redis)
      @redis = redis
    end

    def call(*command)
      @redis.call(*command)
    end
  end

  def test_a_client_needs_no_methods_for_commands
    @redis.script :flush
    published = hear("chat:1") { 2.times { |n| publish n.to_s, redis: Pool.new(@redis) } }
    assert_equal [1, 2], published.map { |payload| number(payload).last }
  end

  def test_a_cluster_will_do
    skip "redis 5 needs the gem redis-clustering" if Redis::VERSION.to_i > 4
    cluster = ::Redis.new(cluster: [RedisServer.cluster.url])
    2.times { publish "1", redis: cluster }
    assert_equal "2", cluster.hget("{_catenary:history:chat:1}:head", "offset")
    assert_equal 2, cluster.xlen("{_catenary:history:chat:1}")
  ensure
    cluster&.close
  end

  def test_redis_client_will_do
    skip "redis-client is not installed" unless Gem::Specification.any? { |gem| gem.name == "redis-client" }
    require "redis-client"
    pool = RedisClient.config(url: REDIS.url).new_pool
    @redis.script :flush
    published = hear("chat:1") { 2.times { |n| publish n.to_s, redis: pool } }
    assert_equal [1, 2], published.map { |payload| number(payload).last }
    @redis.config :set, "maxmemory", 1
    assert_equal :plain, publish("1", redis: pool) { :plain }
  ensure
    @redis.config :set, "maxmemory", 0
    pool&.close
  end

  def test_a_broadcast_that_redis_refuses_to_keep_is_published_without_a_number
    adapter = ActionCable.server.config.pubsub_adapter.new(ActionCable.server)
    configure("chat:*" => {}) { Catenary::Rails::History.extend_adapter(adapter) }
    published = hear("test:chat:1") do
      adapter.broadcast "chat:1", "1"
      @redis.config :set, "maxmemory", 1
      2.times { |n| adapter.broadcast "chat:1", "refused #{n}" }
      @redis.config :set, "maxmemory", 0
      adapter.broadcast "chat:1", "2"
    end
    assert_equal ["refused 0", "refused 1"], published[1, 2]
    assert_equal [1, 2], published.values_at(0, 3).map { |payload| number(payload).last }
    assert_equal 1, LOG.string.scan(/history: 1 broadcasts were published but not kept: OOM/).size
  ensure
    @redis.config :set, "maxmemory", 0
  end

  def test_a_broadcast_is_published_without_a_number_whatever_redis_refuses
    { "NOPERM no" => Redis::CommandError, "READONLY no" => Redis::ConnectionError,
      "ERR Error running script: -READONLY no" => Redis::ConnectionError, "MASTERDOWN no" => Redis::ConnectionError }.each do |message, error|
      assert_equal :plain, publish("1", redis: failing(error, message)) { :plain }
    end
    assert_raises(Redis::TimeoutError) { publish("1", redis: failing(Redis::TimeoutError, "no")) { flunk } }
  end

  def test_another_adapter_needs_no_redis_gem
    adapters, load_error = ActionCable::SubscriptionAdapter, Tempfile.new(["redis", ".rb"])
    load_error.write "raise Gem::LoadError, 'redis is not part of the bundle'"
    load_error.close
    ActionCable.server.config.pubsub_adapter # loads it
    redis = adapters.send(:remove_const, :Redis)
    adapters.autoload :Redis, load_error.path
    assert_raises(Gem::LoadError) { adapters::Redis }
    adapter = Class.new.new
    configure("chat:*" => {}) { Catenary::Rails::History.extend_adapter(adapter) }
    refute_kind_of Catenary::Rails::History::Broadcasting, adapter
    assert Catenary::Rails::History.redis?(Class.new(redis))
  ensure
    adapters.send :remove_const, :Redis
    adapters.const_set :Redis, redis
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

    def publish(payload, history = history(), redis: @redis, &plain)
      history.publish redis, "chat:1", payload, history.rule("chat:1"), &plain
    end

    # A client whose every command fails.
    def failing(error, message)
      Object.new.tap { |redis| redis.define_singleton_method(:call) { |*| raise error, message } }
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
