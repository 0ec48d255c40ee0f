# Active Record with a database that is empty, and gone with its connection.
require "active_record/railtie"

ENV["DATABASE_URL"] ||= "sqlite3::memory:"
