# Active Record with an empty database in memory.
require "active_record/railtie"

ENV["DATABASE_URL"] ||= "sqlite3::memory:"
