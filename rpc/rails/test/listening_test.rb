require_relative "test_helper"
require "action_cable/subscription_adapter/async"

# Broadcasts that this process receives for a node.
class ListeningTest < CallTest
  # Hands callbacks to a pool of threads, as Rails' own adapters do.
  class Adapter < ActionCable::SubscriptionAdapter::Async
    attr_accessor :broken

    def subscribe(*)
      raise "the database is down" if broken
      super
    end

    def broadcast(*)
      raise LoadError, "no gem for redis://:password@host" if broken
      super
    end
  end

  def setup
    super
    wait_for { endpoint.links.instance_variable_get(:@open).all?(&:closed?) } # those of other tests
    ActionCable.server.config.define_singleton_method(:pubsub_adapter) { Adapter }
    ActionCable.server.restart
    @link = LinkClient.pair
  end

  def teardown
    @link.close
    wait_for { endpoint.links.instance_variable_get(:@open).all?(&:closed?) } # otherwise it would listen to the restarted adapter
    wait_for { %w[room hall].all? { |stream| subscribers(stream).zero? } }
    ActionCable.server.config.singleton_class.remove_method :pubsub_adapter
    ActionCable.server.restart # back to the application's own adapter
  end

  def test_broadcasts_are_forwarded_in_order
    listen "room", "hall"
    300.times { |n| ActionCable.server.broadcast n.odd? ? "room" : "hall", n }
    assert_equal (0...300).map { |n| [n.odd? ? "room" : "hall", n.to_s] }, broadcasts(300)
  end

  def test_every_listen_is_answered_and_the_last_message_counts
    3.times do
      @link.write({ listen: ["room"] })
      @link.write({ unlisten: ["room"] })
    end
    listen "hall"
    wait_for { received("listening").count("room") == 3 }
    wait_for { subscribers("room").zero? }
    ActionCable.server.broadcast "room", 1
    ActionCable.server.broadcast "hall", 2
    assert_equal [%w[hall 2]], broadcasts(1)
    @link.write({ listen: ["hall"] })
    wait_for { received("listening").count("hall") == 2 }
    assert_equal 1, subscribers("hall")
  end

  def test_catenary_publishes_as_the_application_would
    listen "room"
    @link.write({ publish: "room", message: '{"a":1}' })
    assert_equal [["room", '{"a":1}']], broadcasts(1)
  end

  def test_a_publish_with_a_number_is_answered
    listen "room"
    @link.write({ publish: "room", message: "1", number: 7 })
    assert_equal [%w[room 1]], broadcasts(1)
    wait_for { received("published") == [7] }
    ActionCable.server.pubsub.broken = true
    @link.write({ publish: "room", message: "2", number: 8 })
    wait_for { received("published") == [7, 8] }
    assert_equal ["no gem for redis://…@host (LoadError)"], received("failed")
    ActionCable.server.pubsub.broken = false
  end

  def test_no_broadcast_is_missed_after_a_restart_of_action_cable
    listen "room"
    5.times do |n|
      ActionCable.server.restart
      ActionCable.server.broadcast "room", n
    end
    assert_equal (0...5).map { |n| ["room", n.to_s] }, broadcasts(5)
  end

  def test_a_failing_adapter_is_reported_and_called_again
    ActionCable.server.pubsub.broken = true
    @link.write({ listen: %w[room hall] })
    @link.write({ unlisten: ["hall"] })
    wait_for { received("missed").size >= 2 && received("listening") == ["hall"] }
    assert_equal ["the database is down (RuntimeError)"], received("missed").uniq
    ActionCable.server.pubsub.broken = false
    wait_for { received("listening").include?("room") }
    ActionCable.server.broadcast "room", 1
    assert_equal [%w[room 1]], broadcasts(1)
  end

  def test_without_streams_no_broadcast_waits_after_a_restart
    ActionCable.server.restart
    assert endpoint.links.instance_variable_get(:@open).all? { |link| link.listening.resubscribed? }
  end

  def test_broadcasts_over_the_limit_are_missed_and_reported
    listening = Catenary::Rails::Listening.new(slow = SlowLink.new)
    listening.listen ["room"]
    wait_for { slow.written.any? }
    20.times { listening.receive "room", "x" * 1024 * 1024 }
    slow.go
    wait_for { slow.written.any? { |message| message.key?(:missed) } }
    assert_equal 16, slow.written.count { |message| message.key?(:broadcast) }
    listening.close
  end

  def test_a_closed_link_stops_listening
    listen "room"
    @link.close
    wait_for { subscribers("room").zero? }
  end

  class SlowLink
    attr_reader :written

    def initialize
      @written, @gate = [], Queue.new
    end

    def write(message)
      @gate.pop if message.key?(:broadcast)
      @written << message
    end

    def go
      20.times { @gate << true }
    end
  end

  private
    def listen(*streams)
      @link.write({ listen: streams })
      wait_for { (streams - received("listening")).empty? }
    end

    def received(kind)
      @link.frames.dup.filter_map { |frame| frame[kind] }
    end

    def broadcasts(count)
      wait_for { received("broadcast").size >= count }
      @link.frames.dup.filter_map { |frame| [frame["broadcast"], frame["message"]] if frame["broadcast"] }
    end

    def subscribers(stream)
      ActionCable.server.pubsub.send(:subscriber_map).instance_variable_get(:@subscribers).fetch(stream, []).size
    end
end
