module Catenary
  module Rails
    # A thread that finds nothing of the one that starts it. Ruby hands on a fiber's storage (as of 3.2), and nothing else.
    module FreshThread
      class << self
        def start
          Thread.new do
            forget
            yield
          end
        end

        # Returns what the block returns, or raises what it raises.
        def run
          start do
            Thread.current.report_on_exception = false
            yield
          end.value
        end

        private
          def forget
            Fiber.current.storage&.each_key { |name| Fiber[name] = nil } if Fiber.respond_to?(:[])
          end
      end
    end
  end
end
