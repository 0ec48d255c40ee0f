# Refers to a channel, and so cannot be serialized.
class Clerk
  def initialize(channel)
    @channel = channel
  end
end
