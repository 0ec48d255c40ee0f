module Catenary
  module Rails
    module Audit
      # What articles teach, and what fails with Rails' own Action Cable just as well.
      class HabitCheck < Check
        RAISING = /\A(raise|find|fetch)\z|!\z/

        def look
          if subject.connection?
            callbacks :connect, :disconnect
            super_in_connect
          else
            callbacks :subscribed, :unsubscribed
            actions
            each { |node| node.type == :list && rejected(node) if node.instance? }
            not_rescued
          end
        end

        private
          # Rails calls these without arguments.
          def callbacks(*names)
            names.each do |name|
              method = own_method(name) or next
              required = method.arity.negative? ? ~method.arity : method.arity
              next if required.zero?
              found :argument, method.source_location, "def #{name} with #{required == 1 ? "an argument" : "arguments"}", name: name
            end
          end

          # Rails passes the data to actions with one parameter only.
          def actions
            subject.type.action_methods.each do |name|
              method = own_method(name.to_sym) or next
              next if [0, 1].include?(method.arity) || subject.base.private_method_defined?(name)
              kind, parameter = method.parameters.first
              next unless parameter == :data
              code = "def #{name} with #{kind == :opt ? "an optional parameter" : "more than data"}"
              found :no_data, method.source_location, code, name: name
            end
          end

          def super_in_connect
            return if own_method(:connect)&.super_method
            subject.methods_called("connect").each do |method|
              inner = method.find { |node| %i[zsuper super].include?(node.type) }
              found :super, inner, "super in connect" if inner
            end
          end

          # What stands below a reject runs, unless it asks.
          def rejected(list)
            list.children.each_with_index do |node, i|
              reject = goes_on(node) or next
              below = list.children.drop(i + 1).take_while { |later| later.none? { |inner| inner.call?("subscription_rejected?") } }
              next unless below.any? { |later| later.any? { |inner| inner.call?(*StreamCheck::OPENING) } }
              found :reject, reject, "reject before a stream"
            end
          end

          # A call of reject after which the next statement runs, or nil.
          def goes_on(node)
            return node if node.call?("reject") && node.to_self? && !node.block?
            return if %i[return def block lambda].include?(node.type) || node.children.any? { |child| child.type == :return }
            node.children.lazy.filter_map { |child| goes_on(child) }.first
          end

          # rescue_from of a channel is asked about actions only.
          def not_rescued
            handler = calls("rescue_from").find(&:to_self?) or return
            subscribed = subject.methods_called("subscribed").reject { |method| method.any? { |node| node.type == :rescue } }
            raising = subscribed.flat_map(&:to_a).find { |node| node.call? && node.name.match?(RAISING) && !later?(node) } or return
            found :not_rescued, raising, "#{raising} in subscribed", place: place(handler)
          end

          # In what a stream is given for its messages.
          def later?(node)
            node.around.any? { |outer| outer.type == :lambda || outer.given_to?(*StreamCheck::OPENING) }
          end

          # nil of none, and of Rails' own.
          def own_method(name)
            return unless subject.type.method_defined?(name) || subject.type.private_method_defined?(name)
            method = subject.type.instance_method(name)
            method if method.source_location && !subject.base.ancestors.include?(method.owner)
          end
      end
    end
  end
end
