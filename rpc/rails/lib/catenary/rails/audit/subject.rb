module Catenary
  module Rails
    module Audit
      # A channel or a connection, with all code that runs for it.
      class Subject
        attr_reader :type, :name, :sources, :findings

        def initialize(type, sources)
          @type, @sources = type, sources
          @name = sources.name_of(type)
        end

        def audit(checks)
          found = checks.flat_map { |check| check.findings(self) }
          @findings = found.sort_by.with_index { |finding, i| [finding.file, finding.line, i] }
        end

        def channels?
          true
        end

        def connection?
          type < ActionCable::Connection::Base
        end

        # What Rails has by itself, and what is put into that for all.
        def base
          connection? ? ActionCable::Connection::Base : ActionCable::Channel::Base
        end

        # Its class and all that this takes from others, up to Rails' own.
        def lineage
          type.ancestors - base.ancestors
        end

        def bodies
          @bodies ||= lineage.flat_map { |type| sources.bodies(type) }
        end

        def nodes
          @nodes ||= bodies.flat_map { |body| body.own.to_a }
        end

        # The methods of that name in its code.
        def methods_called(name)
          nodes.select { |node| node.type == :def && node.name == name && node.instance? }
        end

        # File and line.
        def location
          @location ||= Object.const_source_location(name)
        end

        # The setting that leaves it to the application's own Action Cable.
        def pass_through
          connection? ? "pass_through: all" : "pass_through: [#{name}]"
        end
      end

      # The application's code that belongs to no channel and no connection, as far as it mentions Action Cable.
      class Elsewhere < Subject
        def initialize(sources, subjects)
          @sources, @subjects, @name = sources, subjects, ""
        end

        def channels?
          false
        end

        def connection?
          false
        end

        def nodes
          @nodes ||= sources.suspects.flat_map(&:to_a).reject { |node| node.module && bodies.include?(node.module) }
        end

        def pass_through
          "pass_through: that channel"
        end

        private
          def bodies
            @bodies ||= @subjects.flat_map(&:bodies).to_set.compare_by_identity
          end
      end
    end
  end
end
