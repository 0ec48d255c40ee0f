require "active_support/core_ext/class/subclasses"

module Catenary
  module Rails
    class Audit
      # The application's channels and connections, which are loaded; nothing else of it is.
      class Application
        SHARED = /(\A|::)ApplicationCable::Channel\z/ # what all channels inherit from is no channel of its own

        attr_reader :sources, :failures # [file, error] of what does not load

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

        private
          def subjects(base)
            base.descendants.select { |type| known?(type) }.map { |type| Subject.new(type, sources) }.sort_by(&:name)
          end

          # Whether browsers can name it; an anonymous class, or one that has been reloaded, they cannot.
          def known?(type)
            name = sources.name_of(type)
            name && name.safe_constantize.equal?(type) && Object.const_source_location(name)&.first
          rescue StandardError, ScriptError
            false # its file does not load
          end

          def load_channels
            folders.each do |folder|
              Dir.glob("**/*.rb", base: folder).sort.each { |file| load_constant folder, "#{folder}/#{file}" }
            end
          end

          # Engines, of gems too, have theirs.
          def folders
            autoloaded.select { |path| path.match?(%r{/app/channels(/concerns)?\z}) && File.directory?(path) }
          end

          def autoloaded
            (ActiveSupport::Dependencies.autoload_paths + ActiveSupport::Dependencies.autoload_once_paths).map(&:to_s)
          end

          def load_constant(folder, file)
            return if autoloaded.any? { |path| path.size > folder.size && file.start_with?("#{path}/") } # it is loaded from there
            constant(folder, file)&.constantize
          rescue StandardError, ScriptError => error
            @failures << [file, error]
          end

          # What the autoloader expects in the file, or nil.
          def constant(folder, file)
            return loader.cpath_expected_at(file) if loader.respond_to?(:cpath_expected_at)
            segments = file.delete_prefix("#{folder}/").delete_suffix(".rb").split("/")
            segments.map { |segment| loader ? loader.inflector.camelize(segment, file) : segment.camelize }.join("::")
          end

          def loader
            ::Rails.autoloaders.main if ::Rails.autoloaders.zeitwerk_enabled?
          end
      end
    end
  end
end
