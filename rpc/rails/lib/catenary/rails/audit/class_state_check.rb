module Catenary
  module Rails
    class Audit
      # What is counted or collected in a class or a global variable, and so in one Rails process. Browsers stay when that process
      # is restarted.
      class ClassStateCheck < Check
        ATTRIBUTES = %w[class_attribute mattr_accessor cattr_accessor mattr_reader cattr_reader].freeze

        def look
          subject.nodes.each do |node|
            case node.type
            when :assign then assigned(node, node[:target]) if node[:target]
            when :call then attribute(node) if ATTRIBUTES.include?(node.name) && node.to_self?
            end
          end
        end

        private
          def assigned(node, target)
            return unless of_class?(target)
            counts = %w[+= -=].include?(node.name) ? "a count" : values.collection(node[:value], fixed: target.const?)
            report node, target.to_s, counts if counts
          end

          def of_class?(target)
            case target.type
            when :cvar, :gvar then true
            when :const, :ivar then !target.instance?
            when :attribute then target.receiver.to_s == "self.class"
            end
          end

          def attribute(call)
            default = call.label("default") or return
            counts = values.collection(default) or return
            call.positional.each { |name| report call, name.name.to_s, counts }
          end

          def report(node, name, counts)
            return if findings.any? { |finding| finding.code.start_with?("#{name} = ") }
            found "class state", node, "plain", "#{name} = #{counts}",
              "is in one Rails process; when that restarts its browsers stay, and a process that has not counted them counts them off",
              "change: keep it where all processes see it, or backend.restart: reconnect, with which browsers come back as natively"
          end

          def values
            @values ||= Values.new(subject)
          end
      end
    end
  end
end
