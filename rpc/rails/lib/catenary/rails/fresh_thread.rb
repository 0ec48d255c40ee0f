module Catenary
  module Rails
    # A thread that inherits nothing from the one that starts it. All that Ruby passes on is the
    # fiber storage, as of 3.2.
    module FreshThread
      class << self
        def start
          Thread.new do
            clear_fiber_storage
            yield
          end
        end

        private
          def clear_fiber_storage
            Fiber.current.storage&.each_key { |name| Fiber[name] = nil } if Fiber.respond_to?(:[])
          end
      end
    end
  end
end
