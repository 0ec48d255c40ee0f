# Keeps values that cannot be serialized and are lost when the object is rebuilt. catenary audit
# explains why.
class KeepsakeChannel < ApplicationCable::Channel
  def subscribed
    super
    @lock = Mutex.new
    @greeting = -> { "hello" }
    @waiting = Queue.new
    @paper = StringIO.new
    @calls = Concurrent::AtomicFixnum.new
    @lists = Hash.new { |lists, name| lists[name] = [] }
    @seen = Concurrent::Map.new
    @clerk = Clerk.new(self)
    @desk = Desk.new
  end

  def show
    kept = { lock: @lock, greeting: @greeting, waiting: @waiting, paper: @paper, calls: @calls, seen: @seen, clerk: @clerk, desk: @desk }
    transmit kept.transform_values { |value| value.class.name }.merge(lists: @lists[:a].class.name)
  end
end
