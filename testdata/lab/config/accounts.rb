# Paths with accounts: a middleware moves the 7 of /7/… to SCRIPT_NAME. Also has a second Action
# Cable, for /second.
module Accounts
  class Middleware
    def initialize(app)
      @app = app
    end

    def call(env)
      if match = %r{\A/(\d+)(?=/)}.match(env["PATH_INFO"])
        env["SCRIPT_NAME"] += match[0]
        env["PATH_INFO"] = match.post_match
        env["lab.account"] = match[1]
      end
      @app.call(env)
    end
  end

  class SecondConnection < ActionCable::Connection::Base
  end

  def self.second
    @second ||= ActionCable::Server::Base.new(config: ActionCable::Server::Base.config.dup.tap { |config| config.connection_class = -> { SecondConnection } })
  end
end
