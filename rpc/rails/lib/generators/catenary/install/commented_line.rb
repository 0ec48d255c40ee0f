module Catenary
  module Generators
    # A line of a text that is replaced, and kept in a comment above, from which it can be restored.
    module CommentedLine
      MARK = "# Before catenary:install: "
      REPLACED = /^#{MARK}(.*)\n.*catenary.*$/

      extend self

      def replace(text, old, new)
        text.sub(/^#{Regexp.escape(old)}$/) { "#{MARK}#{old}\n#{new}" }
      end

      def restore(text)
        text.sub(REPLACED, '\1')
      end
    end
  end
end
