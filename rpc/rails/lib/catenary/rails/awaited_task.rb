module Catenary
  module Rails
    # A block that one thread runs, while another waits for its value.
    class AwaitedTask
      def initialize(block)
        @block, @ended = block, Queue.new
        @error = ThreadError.new("the application has killed the thread of a call")
      end

      def run
        @value = @block.call
        @error = nil
      rescue Exception => error
        @error = error
      ensure
        @ended.close
      end

      # Returns the block's value, or raises its exception.
      def value
        @ended.pop
        raise @error if @error
        @value
      end

      def link
      end

      def flush
      end
    end
  end
end
