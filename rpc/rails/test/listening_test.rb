require_relative "test_helper"
require "action_cable/subscription_adapter/async"

# What a node hears through this process.
class ListeningTest < CallTest
  # Hands over to a pool of threads, as Rails' own adapters do.
  class Adapter < ActionCable::SubscriptionAdapter::Async
    attr_accessor :broken

    def subscribe(*)
      raise "the database is away" if broken
      super
    end

    def broadcast(*)
      raise LoadError, "no gem for redis://:password@host" if broken
      super
    end
  end

  def setup
    super
    wait_for { endpoint.links.instance_variable_get(:@greeted).all?(&:closed?) } # those of other tests
    ActionCable.server.config.define_singleton_method(:pubsub_adapter) { Adapter }
    ActionCable.server.restart
    @link = LinkClient.pair
  end

  def teardown
    @link.close
    wait_for { endpoint.links.instance_variable_get(:@greeted).all?(&:closed?) } # or it would listen to what is restarted
    wait_for { %w[room hall].all? { |stream| subscribers(stream).zero? } }
    ActionCable.server.config.singleton_class.remove_method :pubsub_adapter
    ActionCable.server.restart # to the application's own
  end

  def test_what_is_broadcast_is_passed_on_in_order
    listen "room", "hall"
    300.times { |n| ActionCable.server.broadcast n.odd? ? "room" : "hall", n }
    assert_equal (0...300).map { |n| [n.odd? ? "room" : "hall", n.to_s] }, broadcasts(300)
  end

  def test_every_word_is_answered_and_the_last_one_counts
    3.times do
      @link.write({ listen: ["room"] })
      @link.write({ unlisten: ["room"] })
    end
    listen "hall"
    wait_for { heard("listening").count("room") == 3 }
    wait_for { subscribers("room").zero? }
    ActionCable.server.broadcast "room", 1
    ActionCable.server.broadcast "hall", 2
    assert_equal [%w[hall 2]], broadcasts(1)
    @link.write({ listen: ["hall"] })
    wait_for { heard("listening").count("hall") == 2 }
    assert_equal 1, subscribers("hall")
  end

  def test_catenary_publishes_as_the_application_would
    listen "room"
    @link.write({ publish: "room", message: '{"a":1}' })
    assert_equal [["room", '{"a":1}']], broadcasts(1)
  end

  def test_whether_it_could_broadcast_it_says_if_it_is_asked
    listen "room"
    @link.write({ publish: "room", message: "1", number: 7 })
    assert_equal [%w[room 1]], broadcasts(1)
    wait_for { heard("published") == [7] }
    ActionCable.server.pubsub.broken = true
    @link.write({ publish: "room", message: "2", number: 8 })
    wait_for { heard("published") == [7, 8] }
    assert_equal ["no gem for redis://…@host (LoadError)"], heard("failed")
    ActionCable.server.pubsub.broken = false
  end

  def test_after_a_restart_of_action_cable_nothing_is_missed
    listen "room"
    5.times do |n|
      ActionCable.server.restart
      ActionCable.server.broadcast "room", n
    end
    assert_equal (0...5).map { |n| ["room", n.to_s] }, broadcasts(5)
  end

  def test_an_adapter_that_fails_is_told_of_and_asked_again
    ActionCable.server.pubsub.broken = true
    @link.write({ listen: %w[room hall] })
    @link.write({ unlisten: ["hall"] })
    wait_for { heard("missed").size >= 2 && heard("listening") == ["hall"] }
    assert_equal ["the database is away (RuntimeError)"], heard("missed").uniq
    ActionCable.server.pubsub.broken = false
    wait_for { heard("listening").include?("room") }
    ActionCable.server.broadcast "room", 1
    assert_equal [%w[room 1]], broadcasts(1)
  end

  def test_where_nothing_is_listened_to_no_broadcast_waits_after_a_restart
    ActionCable.server.restart
    assert endpoint.links.instance_variable_get(:@greeted).all? { |link| link.listening.reopened? }
  end

  def test_what_cannot_be_written_in_time_is_missed_and_said_so
    listening = Catenary::Rails::Listening.new(slow = SlowLink.new)
    listening.listen ["room"]
    wait_for { slow.said.any? }
    20.times { listening.heard "room", "x" * 1024 * 1024 }
    slow.go
    wait_for { slow.said.any? { |message| message.key?(:missed) } }
    assert_equal 16, slow.said.count { |message| message.key?(:broadcast) }
    listening.close
  end

  def test_a_link_that_is_over_listens_no_more
    listen "room"
    @link.close
    wait_for { subscribers("room").zero? }
  end

  class SlowLink
    attr_reader :said

    def initialize
      @said, @gate = [], Queue.new
    end

    def write(message)
      @gate.pop if message.key?(:broadcast)
      @said << message
    end

    def go
      20.times { @gate << true }
    end
  end

  private
    def listen(*streams)
      @link.write({ listen: streams })
      wait_for { (streams - heard("listening")).empty? }
    end

    def heard(kind)
      @link.frames.dup.filter_map { |frame| frame[kind] }
    end

    def broadcasts(count)
      wait_for { heard("broadcast").size >= count }
      @link.frames.dup.filter_map { |frame| [frame["broadcast"], frame["message"]] if frame["broadcast"] }
    end

    def subscribers(stream)
      ActionCable.server.pubsub.send(:subscriber_map).instance_variable_get(:@subscribers).fetch(stream, []).size
    end
end
