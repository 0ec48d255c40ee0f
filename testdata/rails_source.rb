# RAILS_SOURCE=/path runs the applications on a checkout of Rails instead of Debian's packages: script/puma chooses the Ruby and
# has it load this file first. Whatever a checkout needs that Debian's gems lack is added here and nowhere else.
class RailsSource
  FRAMEWORKS = %w[ activesupport activemodel activerecord activejob actionview actionpack actioncable railties ]

  def initialize(path)
    @path = path
  end

  def load
    $LOAD_PATH.unshift(*FRAMEWORKS.map { |name| File.join(@path, name, "lib") })

    accept_old_sqlite3 if version >= Gem::Version.new("8.0")
    accept_old_globalid if version >= Gem::Version.new("8.2")
  end

  private
    def version
      @version ||= Gem::Version.new(File.read(File.join(@path, "RAILS_VERSION")).strip).release
    end

    # Rails 8.0 and later ask for sqlite3 2.1 and call two methods that came with it. Debian trixie has 1.7.
    def accept_old_sqlite3
      TOPLEVEL_BINDING.receiver.extend OldSqlite3
    end

    module OldSqlite3
      def gem(name, *requirements)
        return super unless name == "sqlite3"

        super(name)
        require "sqlite3"
        unless SQLite3.const_defined?(:ForkSafety)
          SQLite3.const_set :ForkSafety, Module.new
          SQLite3::ForkSafety.define_singleton_method(:suppress_warnings!) { }
          SQLite3::Database.alias_method :busy_handler_timeout=, :busy_timeout=
        end
      end
    end

    # Rails 8.2 looks up the arguments of jobs with Locator.fetch, which came with globalid 1.4. Debian trixie has 1.2.
    def accept_old_globalid
      require "logger"
      require "global_id"
      GlobalID::Locator.extend OldGlobalid unless GlobalID::Locator.respond_to?(:fetch)
    end

    module OldGlobalid
      class RecordNotFound < StandardError; end

      def self.extended(locator)
        locator.const_set :RecordNotFound, RecordNotFound
      end

      def fetch(gid, options = {})
        locate(gid, options)
      rescue ActiveRecord::RecordNotFound => error
        raise RecordNotFound, error.message
      end
    end
end

RailsSource.new(ENV.fetch("RAILS_SOURCE")).load
