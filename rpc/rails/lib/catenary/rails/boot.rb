require "securerandom"

module Catenary
  module Rails
    # Names this operating-system process, and numbers what must be unique over all of them. Survives a fork.
    class Boot
      def initialize
        @mutex = Mutex.new
      end

      def name
        @pid == Process.pid ? @name : @mutex.synchronize { rename }
      end

      # A name that no process gives twice.
      def next
        prefix = name
        "#{prefix}-#{@mutex.synchronize { @count += 1 }}"
      end

      private
        def rename
          @pid, @count, @name = Process.pid, 0, "b-#{SecureRandom.hex(4)}" if @pid != Process.pid
          @name
        end
    end
  end
end
