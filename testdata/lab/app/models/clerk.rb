# Works for a channel, and so cannot travel without it.
class Clerk
  def initialize(channel)
    @channel = channel
  end
end
