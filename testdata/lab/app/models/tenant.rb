# The tenant whose members are found on this thread.
module Tenant
  extend self

  def current
    Thread.current[:tenant] || "public"
  end

  def switch(name)
    before, Thread.current[:tenant] = Thread.current[:tenant], name
    yield
  ensure
    Thread.current[:tenant] = before
  end
end
