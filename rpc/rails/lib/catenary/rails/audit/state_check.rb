module Catenary
  module Rails
    module Audit
      # What is kept between commands and cannot be written, so that it is missing when the object is rebuilt.
      class StateCheck < Check
        # What only records and values have.
        KEEPABLE = %i[to_gid_param iso8601 to_str to_hash to_ary].freeze

        def look
          each do |node|
            next unless node.type == :assign && node.instance? && name = variable(node[:target])
            identifiers.include?(name) ? identifier(node, name) : variable_set(node, name)
          end
        end

        private
          def variable_set(node, name)
            kept = values.unkeepable(node[:value]) or return
            key = { Values::RELATION => :kept_relation, Values::HASH => :kept_hash }.fetch(kept, :kept)
            found key, node, "@#{name} = #{kept}"
          end

          def identifier(node, name)
            if kept = values.unkeepable(node[:value])
              found kept == Values::HASH ? :identifier_hash : :identifier, node, "#{name} = #{kept}"
            elsif type = plain_object(node[:value])
              found :identifier_object, node, "#{name} = #{type}"
            end
          end

          # Of @name, and of self.name if that sets a variable.
          def variable(target)
            case target&.type
            when :ivar then target.name.delete_prefix("@")
            when :attribute then target.name if target.receiver&.type == :self && writers.include?(target.name)
            end
          end

          def writers
            @writers ||= identifiers + calls("attr_accessor", "attr_writer").flat_map { |call| call.positional.map(&:name) }
          end

          def identifiers
            @identifiers ||= subject.connection? ? subject.type.identifiers.map(&:to_s) : []
          end

          # The class of Name.new(...), unless that has a Global ID or is a value.
          def plain_object(value)
            return unless value&.call?("new") && value.receiver&.const?
            type = value.receiver.name.safe_constantize
            return if !type.is_a?(Class) || defined?(ActiveRecord::Base) && type < ActiveRecord::Base
            value.receiver.name if (type.instance_methods & KEEPABLE).empty?
          rescue StandardError, ScriptError
            nil # it cannot be loaded here
          end

          def values
            @values ||= Values.new(subject)
          end
      end

      # What is counted or collected in a class or in a global variable, and so in one Rails process.
      class ClassStateCheck < Check
        ATTRIBUTES = %w[class_attribute mattr_accessor cattr_accessor mattr_reader cattr_reader].freeze

        def look
          each do |node|
            case node.type
            when :assign then assigned(node, node[:target]) if of_class?(node[:target])
            when :call then attribute(node) if node.call?(*ATTRIBUTES) && node.to_self?
            end
          end
        end

        private
          def of_class?(target)
            case target&.type
            when :cvar, :gvar then true
            when :const, :ivar then !target.instance?
            when :attribute then target.receiver.to_s == "self.class"
            end
          end

          def assigned(node, target)
            counts = %w[+= -=].include?(node.name) ? "a count" : values.collection(node[:value], fixed: target.const?)
            report node, target.to_s, counts
          end

          def attribute(call)
            counts = values.collection(call.label("default"))
            call.positional.each { |name| report call, name.name.to_s, counts }
          end

          def report(node, name, counts)
            return if counts.nil? || findings.any? { |finding| finding.code.start_with?("#{name} = ") }
            found :class_state, node, "#{name} = #{counts}"
          end

          def values
            @values ||= Values.new(subject)
          end
      end
    end
  end
end
