module Catenary
  module Rails
    module Audit
      # How code runs behind catenary, from what costs nothing to what does not work.
      RUNS = ["plain", "timers", "live state", "pinned", "pass-through", "cannot work"].freeze

      # What a check reports about one line. node: the code, or nil.
      Finding = Struct.new(:rule, :file, :line, :runs, :code, :means, :advice, :node, keyword_init: true) do
        # key: of CATALOGUE. where: a node, or a file and a line. values: of what stands in %{} in its texts.
        def self.of(key, where, code, **values)
          rule, runs, means, advice = CATALOGUE.fetch(key)
          node = where if where.is_a?(Node)
          file, line = node ? [node.file, node.line] : where
          new(rule: rule, file: file, line: line, runs: runs, code: code, means: means % values, advice: advice % values, node: node)
        end

        # Without the object that a NoMethodError shows, which may know secrets.
        def self.first_line(error)
          error.message.scrub[/\A.*?(?= for #<|$)/].strip.truncate(300)
        end

        def rank
          RUNS.index(runs)
        end

        # Whether it cannot run behind catenary.
        def fails?
          rank >= RUNS.index("pass-through")
        end

        # The same in a class and in those that inherit from it.
        def place
          [rule, file, line, code]
        end

        def to_h
          super.except(:node)
        end
      end
    end
  end
end
