# Has a lock, and so cannot travel.
class Desk
  def initialize
    @lock = Mutex.new
  end
end
