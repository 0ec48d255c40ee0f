# Has a lock, and so cannot be serialized.
class Desk
  def initialize
    @lock = Mutex.new
  end
end
