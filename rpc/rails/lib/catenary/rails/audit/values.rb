module Catenary
  module Rails
    module Audit
      # What a value is if another Rails process cannot be given it: neither Active Job's arguments nor Marshal can write it.
      # Mirrors StateCodec.
      class Values
        RELATION = "a relation"
        HASH = "Hash.new with a block"

        PROCESS_BOUND = %w[
          Mutex Thread::Mutex Monitor Thread Queue Thread::Queue SizedQueue Thread::SizedQueue ConditionVariable
          Thread::ConditionVariable Fiber Enumerator Ractor IO File StringIO Tempfile Dir Socket TCPSocket UNIXSocket UDPSocket
          Logger ActiveSupport::Logger Redis RedisClient ObjectSpace::WeakMap Y::Doc PTY
        ].freeze
        CONSTRUCTORS = %w[new open start fork create popen pipe for_fd spawn].freeze # File.read, for one, returns none
        COLLECTIONS = %w[Concurrent::Map Concurrent::Array Concurrent::Hash Concurrent::Set].freeze # Marshal copies these

        # Return a relation; the second list if they are called on one.
        RELATIONS = %w[
          where rewhere order reorder includes preload eager_load joins left_joins left_outer_joins limit offset in_order_of
        ].freeze
        STILL_RELATIONS = %w[
          load load_async distinct lock readonly references group having not merge unscope or and none all missing associated
        ].freeze

        def initialize(subject)
          @subject = subject
        end

        # nil if it can be written, or if that cannot be seen.
        def unkeepable(value)
          alternatives(value).filter_map { |one| process_bound(one) || holder(one) }.first
        end

        # What something can be counted or collected in. fixed: a number there stays as it is.
        def collection(value, fixed: false)
          case value&.type
          when :hash  then "a Hash" if value.children.empty?
          when :array then "an Array" if value.children.empty?
          when :int   then "a count" unless fixed
          when :call
            name = value.receiver&.const? && value.name == "new" && value.receiver.name
            "a #{name}" if name && (%w[Hash Set].include?(name) || name.start_with?("Concurrent::"))
          end
        end

        private
          def alternatives(value)
            case value&.type
            when nil then []
            when :ternary then alternatives(value[:one]) + alternatives(value[:other])
            when :binary then %w[|| or].include?(value.name) ? alternatives(value[:one]) + alternatives(value[:other]) : []
            when :assign then alternatives(value[:value])
            else [value]
            end
          end

          def process_bound(value)
            return "a Proc" if value.type == :lambda
            return unless value.call?
            return of_constant(value, value.receiver.name) || (RELATION if relation?(value)) if value.receiver&.const?
            return "a Proc" if value.receiver.nil? && %w[proc lambda].include?(value.name) && value.block?
            return "a Method" if value.receiver.nil? && value.name == "method" && value.arguments.any?
            RELATION if relation?(value)
          end

          def of_constant(value, constant)
            if constant == "Proc" && value.name == "new" then "a Proc"
            elsif constant == "Hash" && value.name == "new" then HASH if value.block?
            elsif PROCESS_BOUND.include?(constant) then "a #{constant}" if CONSTRUCTORS.include?(value.name)
            elsif constant.start_with?("Concurrent::") then "a #{constant}" if value.block? || !COLLECTIONS.include?(constant)
            end
          end

          # Whether the last call of a chain returns one.
          def relation?(value)
            return false unless value.call? && !value.to_self?
            RELATIONS.include?(value.name) || %w[all none].include?(value.name) && value.receiver.const? ||
              STILL_RELATIONS.include?(value.name) && relation?(value.receiver)
          end

          # An object of the application's that is given the channel, or keeps what cannot be written.
          def holder(value)
            return unless value.call?("new") && value.receiver&.const?
            return "a #{value.receiver.name}, which is given the channel" if value.gives_self?
            kept = kept_by(@subject.sources.lookup(value.receiver.name, @subject.name))
            "a #{value.receiver.name}, which keeps #{kept}" if kept
          end

          def kept_by(bodies)
            return if bodies.any? { |body| body[:superclass] }
            nodes = bodies.flat_map { |body| body.own.to_a }
            return if nodes.any? { |node| node.type == :def && node.name == "marshal_dump" || node.const?("GlobalID::Identification") }
            assigned = nodes.select { |node| node.type == :assign && node[:target]&.type == :ivar && node.instance? }
            assigned.filter_map { |node| alternatives(node[:value]).filter_map { |one| process_bound(one) }.first }.first
          end
      end
    end
  end
end
