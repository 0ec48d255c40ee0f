require "active_support/core_ext/class/subclasses"

module Catenary
  module Rails
    module Audit
      # The application: its channels and connections, which are loaded; nothing else of it is.
      class Application
        SHARED = /(\A|::)ApplicationCable::Channel\z/ # what all channels inherit from is no channel of its own

        attr_reader :sources, :failures # findings of what does not load

        def initialize(root)
          @sources, @failures = Sources.new(root), []
          load_channels
        end

        def channels
          @channels ||= subjects(ActionCable::Channel::Base).reject { |subject| subject.name.match?(SHARED) }
        end

        def connections
          @connections ||= subjects(ActionCable::Connection::Base)
        end

        def elsewhere
          Elsewhere.new(sources, channels + connections)
        end

        # What config/catenary.yml leaves to the application's own Action Cable in production.
        def passed_through
          file = "#{sources.root}/config/catenary.yml"
          sections = File.exist?(file) ? ActiveSupport::ConfigurationFile.parse(file) : {}
          list = %w[production shared].filter_map { |name| sections.dig(name, "pass_through") }.first
          (list.is_a?(String) ? list.split(",") : Array(list)).map { |name| name.strip.delete_prefix("::") }
        rescue StandardError, ScriptError
          [] # catenary config says what is wrong with it
        end

        private
          def subjects(base)
            base.descendants.select { |type| known?(type) }.map { |type| Subject.new(type, sources) }.sort_by(&:name)
          end

          # Whether browsers can name it: no anonymous class, and none that has been reloaded.
          def known?(type)
            name = sources.name_of(type)
            name && name.safe_constantize.equal?(type) && Object.const_source_location(name)&.first
          rescue StandardError, ScriptError
            false # its file does not load
          end

          # Engines, of gems too, have theirs.
          def load_channels
            autoloaded.grep(%r{/app/channels(/concerns)?\z}).each do |folder|
              Dir.glob("#{folder}/**/*.rb").sort.each { |file| load_constant folder, file }
            end
          end

          def load_constant(folder, file)
            return if autoloaded.any? { |path| path.start_with?("#{folder}/") && file.start_with?("#{path}/") } # its turn comes
            constant(folder, file)&.constantize
          rescue StandardError, ScriptError => error
            @failures << failure(file, error)
          end

          def autoloaded
            (ActiveSupport::Dependencies.autoload_paths + ActiveSupport::Dependencies.autoload_once_paths).map(&:to_s)
          end

          # What the autoloader expects in the file, or nil.
          def constant(folder, file)
            loaders = ::Rails.autoloaders.to_a.compact # none in the classic mode of Rails 6.1
            if loaders.any? && loaders.all? { |loader| loader.respond_to?(:cpath_expected_at) } # Zeitwerk 2.6.9
              loaders.filter_map { |loader| loader.cpath_expected_at(file) }.first
            else
              segments = file.delete_prefix("#{folder}/").delete_suffix(".rb").split("/")
              segments.map { |segment| loaders.any? ? loaders.first.inflector.camelize(segment, file) : segment.camelize }.join("::")
            end
          end

          def failure(file, error)
            line = error.backtrace.to_a.filter_map { |place| place[/\A#{Regexp.escape(file)}:(\d+)/, 1] }.first.to_i
            database = defined?(ActiveRecord::ActiveRecordError) && error.is_a?(ActiveRecord::ActiveRecordError)
            Finding.of(database ? :database : :loading, [file, [line, 1].max], "#{error.class}: #{Finding.first_line(error)}")
          end
      end
    end
  end
end
