module Catenary
  module Rails
    class Audit
      # What articles teach, and what fails with Rails' own Action Cable just as well.
      class HabitCheck < Check
        STREAMS = %w[stream_from stream_for].freeze
        RAISING = /\A(raise|find|fetch)\z|!\z/

        def look
          (subject.connection? ? %i[connect disconnect] : %i[subscribed unsubscribed]).each { |name| callback name }
          super_in_connect if subject.connection?
          return if subject.connection?
          actions
          subject.nodes.each { |node| rejected node if node.type == :def && node.instance? }
          rescued
        end

        private
          # Rails calls these without arguments.
          def callback(name)
            method = instance_method(name) or return
            required = method.arity.negative? ? ~method.arity : method.arity
            return if required.zero? || method.source_location.nil?
            mistake method.source_location, "def #{name} with #{required == 1 ? "an argument" : "arguments"}", "Rails passes none: ArgumentError at every call",
              "change: def #{name}"
          end

          # Rails passes the data to actions with one parameter only.
          def actions
            subject.type.action_methods.each do |name|
              method = instance_method(name.to_sym) or next
              next if subject.base.private_method_defined?(name)
              kind, parameter = method.parameters.first
              next if [0, 1].include?(method.arity) || parameter != :data || !%i[req opt].include?(kind) || method.source_location.nil?
              mistake method.source_location, "def #{name} with #{kind == :opt ? "an optional parameter" : "more than data"}",
                "Rails passes the data only to methods with exactly one required parameter", "change: def #{name}(data)"
            end
          end

          def super_in_connect
            method = instance_method(:connect) or return
            return if method.super_method
            subject.methods_called("connect").each do |node|
              inner = node.find { |within| within.type == :zsuper || within.type == :super } or next
              mistake inner, "super in connect", "Rails has no connect to call: NoMethodError, and no browser can connect", "change: leave super out"
            end
          end

          # reject does not return: what stands below it runs, and streams.
          def rejected(method)
            method.select { |node| node.type == :list }.each do |list|
              list.children.each_with_index do |node, i|
                reject = goes_on(node) or next
                next unless list.children.drop(i + 1).any? { |later| streams?(later) }
                mistake reject, "reject before a stream", "reject does not return: the stream is opened, and natively a rejected browser may receive its messages",
                  "change: return reject"
              end
            end
          end

          # A call of reject after which the next statement runs.
          def goes_on(node)
            return node if node.call?("reject") && node.to_self? && !node.block?
            return if %i[return def block lambda].include?(node.type) || node.children.any? { |child| child.type == :return }
            node.children.each { |child| goes_on(child)&.then { |reject| return reject } }
            nil
          end

          def streams?(node)
            node.any? { |inner| inner.call?(*STREAMS) } && node.none? { |inner| inner.call?("subscription_rejected?") }
          end

          # rescue_from of a channel is asked about actions only.
          def rescued
            handler = calls("rescue_from").find(&:to_self?) or return
            raising = subject.methods_called("subscribed").flat_map { |method| method.select { |node| node.call? && node.name.match?(RAISING) } }.first or return
            mistake raising, "#{raising} in subscribed",
              "rescue_from (#{subject.sources.label(handler.file)}:#{handler.line}) is not for subscribed: after an exception the browser is neither confirmed nor rejected",
              "change: rescue in subscribed, or find_by and reject"
          end

          def instance_method(name)
            type = subject.type
            type.instance_method(name) if type.method_defined?(name) || type.private_method_defined?(name)
          end

          def mistake(where, code, means, advice)
            found "mistake", where, "plain", code, "#{means}, as natively", advice
          end
      end
    end
  end
end
