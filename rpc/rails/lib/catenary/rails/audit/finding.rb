module Catenary
  module Rails
    class Audit
      # How code runs behind catenary, from what costs nothing to what does not work.
      RUNS = ["plain", "timers", "live state", "pinned", "pass-through", "cannot work"].freeze

      NOTHING = "nothing to do"
      PIN = "pin: catenary does so by itself"

      # What a check reports about one line. node: the code, or nil.
      Finding = Struct.new(:rule, :file, :line, :runs, :code, :means, :advice, :node, keyword_init: true) do
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
