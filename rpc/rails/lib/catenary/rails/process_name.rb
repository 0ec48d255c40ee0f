require "securerandom"

module Catenary
  module Rails
    # Names this operating-system process, and numbers what must be unique among all of them. Survives a fork.
    class ProcessName
      def initialize
        @mutex = Mutex.new
      end

      def to_s
        @pid == Process.pid ? @name : @mutex.synchronize { rename }
      end

      # A version that no process gives twice.
      def next_version
        prefix = to_s
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
