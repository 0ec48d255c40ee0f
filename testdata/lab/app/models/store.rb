require "redis"

# Data that all processes share.
module Store
  extend self

  def redis
    @redis ||= Redis.new(url: ENV["REDIS_URL"])
  end
end
