module Catenary
  module Rails
    module Audit
      # The application's files, each parsed once.
      class Sources
        # Folders without code that runs in production.
        SKIPPED = %w[node_modules vendor tmp log public spec test features db storage coverage].freeze

        # One of these stands in every file that anything can be said of.
        SUSPECT = /ActionCable|action_cable|ActiveSupport\.on_load|open_connections_statistics/

        attr_reader :root, :broken # errors by file

        def initialize(root)
          @root, @files, @broken = root, {}, {}
        end

        # The tree of a file, or nil.
        def read(file)
          @files.fetch(file) { @files[file] = parse(file) }
        end

        # Where the application mentions Action Cable.
        def suspects
          @suspects ||= ruby_files.select { |file| text(file).match?(SUSPECT) }.filter_map { |file| read(file) }
        end

        # The bodies of a class or module, wherever it is written.
        def bodies(type)
          name = name_of(type) or return []
          files_of(type, name).flat_map { |file| named(name, read(file)) }
        end

        # Those of what code within the class called from calls by that name, without loading it.
        def lookup(name, from)
          around = from.split("::")
          around.size.downto(0) do |size|
            full = [*around.first(size), name].join("::")
            bodies = (@files.values.compact + autoloaded(full)).uniq.flat_map { |tree| named(full, tree) }
            return bodies if bodies.any?
          end
          []
        end

        # How people call the file.
        def label(file)
          file.to_s.delete_prefix("#{@root}/").sub(%r{\A.*/gems/([^/]+/)}, '\1')
        end

        def name_of(type)
          Module.instance_method(:name).bind_call(type) # which a channel may have redefined
        end

        private
          def ruby_files
            Dir.glob("**/*.rb", base: @root).reject { |file| (file.split("/") & SKIPPED).any? }.map { |file| "#{@root}/#{file}" }
          end

          def parse(file)
            Syntax.read(text(file), file)
          rescue Syntax::Broken, SystemCallError => error
            @broken[file] = error.message
            nil
          end

          def text(file)
            File.read(file, encoding: "UTF-8").scrub
          end

          def files_of(type, name)
            methods = (type.instance_methods(false) + type.private_instance_methods(false)).map { |method| type.instance_method(method) }
            locations = [Object.const_source_location(name), *methods.map(&:source_location)]
            files = locations.filter_map { |location| location&.first }.uniq
            files.select { |file| File.file?(file) && text(file).include?(name[/\w+\z/]) }
          end

          def named(name, tree)
            tree ? tree.select { |node| node.module? && node.qualified == name } : []
          end

          def autoloaded(name)
            paths = ActiveSupport::Dependencies.autoload_paths.map(&:to_s) + ["#{@root}/lib"]
            paths.map { |path| "#{path}/#{name.underscore}.rb" }.select { |file| File.file?(file) }.filter_map { |file| read(file) }
          end
      end
    end
  end
end
