require "securerandom"

module Catenary
  module Rails
    # The name of this operating-system process, unique among all processes. A forked child gets a
    # name of its own.
    class ProcessName
      def initialize
        @mutex = Mutex.new
      end

      def to_s
        @pid == Process.pid ? @name : @mutex.synchronize { generate }
      end

      # A version of a connection's objects, unique among all processes.
      def next_version
        prefix = to_s
        "#{prefix}-#{@mutex.synchronize { @count += 1 }}"
      end

      private
        def generate
          @pid, @count, @name = Process.pid, 0, "b-#{SecureRandom.hex(4)}" if @pid != Process.pid
          @name
        end
    end
  end
end
