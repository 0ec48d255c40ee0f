module Catenary
  module Rails
    class Audit
      # Looks for one thing in the code of a subject: a channel, a connection, or the rest of the application.
      class Check
        def self.findings(subject)
          new(subject).tap(&:look).findings
        end

        attr_reader :findings

        def initialize(subject)
          @subject, @findings = subject, []
        end

        private
          attr_reader :subject

          # where: a node, or a file and a line.
          def found(rule, where, runs, code, means, advice = NOTHING)
            file, line = where.is_a?(Node) ? [where.file, where.line] : where
            findings << Finding.new(rule: rule, file: file, line: line, runs: runs, code: code, means: means, advice: advice,
              node: (where if where.is_a?(Node)))
          end

          def calls(*names, &block)
            subject.nodes.select { |node| node.call?(*names) }.each(&block)
          end
      end
    end
  end
end
