module Catenary
  module Rails
    class Audit
      # What is kept between commands and cannot be written, so that it is missing when the object is rebuilt.
      class StateCheck < Check
        def look
          subject.nodes.each do |node|
            next unless node.type == :assign && node.instance? && name = variable(node[:target])
            identifier = identifiers.include?(name)
            if kept = values.unkeepable(node[:value])
              identifier ? lost_identifier(node, name, kept) : lost(node, name, kept)
            elsif identifier && type = plain_object(node[:value])
              found "identified_by", node, "plain", "#{name} = #{type}",
                "not a record, so it is marshalled, and its to_s names the connection for remote disconnects",
                "nothing to do if it can be marshalled and has a to_s of its own; else change: identify by a record or a scalar"
            end
          end
        end

        private
          def lost(node, name, kept)
            found "unserialisable state", node, "live state", "@#{name} = #{kept}", means(kept), "#{advice(kept)}, or #{subject.pass_through}"
          end

          def lost_identifier(node, name, kept)
            found "identified_by", node, "live state", "#{name} = #{kept}",
              kept == Values::HASH ? means(kept) : "kept on the live object; when that is rebuilt, in another process or after a pause, the browser has to reconnect",
              "change: identify by a record or a scalar"
          end

          def means(kept)
            if kept == Values::HASH
              "kept on the live object; when that is rebuilt, in another process or after a pause, the hash comes back without its block"
            else
              "kept on the live object; unset, with a warning, when that is rebuilt in another process or after a pause"
            end
          end

          def advice(kept)
            case kept
            when Values::RELATION then "change: keep records (to_a) or what the query is made of"
            when Values::HASH then "change: fetch with a default"
            else "change: make it where it is used, with ||= at the least"
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
            return unless type.is_a?(Class) && type.instance_methods.none? { |method| %i[to_gid_param iso8601 to_str to_hash to_ary].include?(method) }
            value.receiver.name unless defined?(ActiveRecord::Base) && type < ActiveRecord::Base
          rescue StandardError, ScriptError
            nil # it cannot be loaded here
          end

          def values
            @values ||= Values.new(subject)
          end
      end
    end
  end
end
