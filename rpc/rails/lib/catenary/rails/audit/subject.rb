module Catenary
  module Rails
    class Audit
      # A channel or a connection, with all code that runs for it.
      class Subject
        attr_reader :type, :name, :sources, :findings

        def initialize(type, sources)
          @type, @sources = type, sources
          @name = sources.name_of(type)
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

        def channels?
          true
        end

        # The methods of that name in its code.
        def methods_called(name)
          nodes.select { |node| node.type == :def && node.name == name && node.instance? }
        end

        def file
          location.first
        end

        def line
          location.last
        end

        # The setting that leaves it to the application's own Action Cable.
        def pass_through
          connection? ? "pass_through: all" : "pass_through: [#{name}]"
        end

        def audit
          checks = connection? ? CONNECTION_CHECKS : CHANNEL_CHECKS
          @findings = checks.flat_map { |check| check.findings(self) }.sort_by.with_index { |finding, i| [finding.file.to_s, finding.line, i] }
        end

        private
          def location
            @location ||= Object.const_source_location(name)
          end
      end

      # The application's code that belongs to no channel and no connection.
      class Elsewhere
        attr_reader :sources

        def initialize(sources, subjects)
          @sources, @subjects = sources, subjects
        end

        def nodes
          @nodes ||= sources.suspects.flat_map(&:to_a).reject { |node| bodies.include?(node.module) }
        end

        def connection?
          false
        end

        def channels?
          false
        end

        def name
          ""
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
