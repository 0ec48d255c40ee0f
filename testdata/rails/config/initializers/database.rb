# Creates the tables and rooms of a new database when the application starts, in one process at a time.
Rails.application.config.after_initialize do
  path = File.expand_path(ActiveRecord::Base.connection_db_config.database, Rails.root)
  FileUtils.mkdir_p File.dirname(path)

  File.open("#{path}.lock", "w") do |lock|
    lock.flock File::LOCK_EX

    unless ActiveRecord::Base.connection.table_exists?(:rooms)
      ActiveRecord::Schema.verbose = false
      load Rails.root.join("db/schema.rb")
      load Rails.root.join("db/seeds.rb")
    end
  end

  ActiveRecord::Base.connection_handler.clear_active_connections!
end
