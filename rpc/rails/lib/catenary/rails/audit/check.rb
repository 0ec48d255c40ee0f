module Catenary
  module Rails
    module Audit
      # Looks for one kind of thing in the code of a subject: a channel, a connection, or the rest of the application.
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

          def found(key, where, code, **values)
            findings << Finding.of(key, where, code, pass_through: subject.pass_through, **values)
          end

          def each(&block)
            subject.nodes.each(&block)
          end

          def calls(*names)
            subject.nodes.select { |node| node.call?(*names) }
          end

          def place(node)
            "#{subject.sources.label(node.file)}:#{node.line}"
          end
      end
    end
  end
end
