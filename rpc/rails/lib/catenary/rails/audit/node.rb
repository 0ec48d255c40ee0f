module Catenary
  module Rails
    module Audit
      # A piece of Ruby, in the shape that checks ask about: every way to write a call is a :call.
      class Node
        include Enumerable

        attr_reader :type, :name, :parts, :children
        attr_accessor :parent

        def initialize(type, name = nil, line = nil, **parts)
          @type, @name, @line, @parts = type, name, line, parts
          @children = parts.values.flatten.grep(Node)
          children.each { |child| child.parent = self }
          @line ||= children.first&.own_line
        end

        def [](part)
          parts[part]
        end

        def own_line
          @line
        end

        def line
          @line || parent&.line || 1
        end

        def file
          type == :file ? name : parent&.file
        end

        # The node and all below it.
        def each(&block)
          yield self
          children.each { |child| child.each(&block) }
        end

        # All below it but what belongs to classes and modules in it.
        def own(&block)
          return enum_for(:own) unless block
          children.each do |child|
            next if child.module?
            yield child
            child.own(&block)
          end
        end

        def module?
          type == :class || type == :module
        end

        # The class or module that the node is written in.
        def module
          around.find(&:module?)
        end

        # With the names of the modules around it.
        def qualified
          around.select(&:module?).map(&:name).reverse.push(name).join("::")
        end

        # From the inside to the outside.
        def around
          parent ? [parent, *parent.around] : []
        end

        # Whether the code runs on objects of its class: it is, or stands in, a method or a block that the class keeps for them.
        def instance?
          blocks = false
          [self, *around].each do |node|
            case node.type
            when :def then return !node[:singleton] && node.around.none?(&:of_class?)
            when :lambda then blocks = true
            when :block
              return false if node.of_class?
              blocks ||= !node.given_to?("included", "prepended", "class_eval", "each")
            when :class, :module then return blocks
            when :sclass then return false
            end
          end
          false
        end

        # Whether methods in it are those of the class.
        def of_class?
          type == :sclass || given_to?("class_methods")
        end

        # Whether the block is that of a call of one of these methods.
        def given_to?(*names)
          type == :block && parent&.type == :call && names.include?(parent.name)
        end

        # Whether the code runs on a thread of its own, or later.
        def in_thread?
          around.any? { |node| node.type == :block && (node.parent.thread? || node.given_to?("future", "post", "execute")) }
        end

        def thread?
          call?("new", "start", "fork") && receiver&.const?("Thread")
        end

        def call?(*names)
          type == :call && (names.empty? || names.include?(name))
        end

        def const?(*names)
          type == :const && (names.empty? || names.include?(name))
        end

        # Of a call.
        def receiver
          self[:receiver]
        end

        def to_self?
          receiver.nil? || receiver.type == :self
        end

        # What a chain of calls begins with.
        def root
          receiver ? receiver.root : self
        end

        def arguments
          self[:arguments] || []
        end

        def positional
          arguments.reject { |argument| %i[labels block_pass splat].include?(argument.type) }
        end

        # Of name: value among the arguments.
        def pairs
          arguments.select { |argument| argument.type == :labels }.flat_map(&:children)
        end

        def label(name)
          pairs.find { |pair| pair.type == :pair && pair.name == name }&.[](:value)
        end

        def splat?
          (arguments + pairs).any? { |argument| argument.type == :splat }
        end

        def block?
          !self[:block].nil? || arguments.any? { |argument| argument.type == :block_pass }
        end

        # Whether self is among the arguments.
        def gives_self?
          (arguments + pairs.filter_map { |pair| pair[:value] }).any? { |argument| argument.type == :self }
        end

        # As it was written, more or less.
        def to_s
          case type
          when :symbol then ":#{name}"
          when :string then name.inspect
          when :call, :attribute then "#{"#{receiver}." if receiver}#{name}#{"(...)" if arguments.any?}"
          when :self   then "self"
          when :list   then children.size == 1 ? children.first.to_s : "..."
          else name ? name.to_s : "..."
          end
        end
      end
    end
  end
end
