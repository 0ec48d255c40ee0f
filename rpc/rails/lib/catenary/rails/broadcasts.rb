require "delegate"

module Catenary
  module Rails
    # The application's pub/sub adapter as a command of catenary's sees it. What a command broadcasts after it has opened a
    # stream becomes one of its ops: catenary publishes it once it streams, so that the browser hears its own "has joined", as
    # it does natively, where the process streams within microseconds.
    class Broadcasts < SimpleDelegator
      COMMAND = :catenary_command

      # The block runs as the command that those ops belong to.
      def self.of(ops)
        outer = Thread.current[COMMAND]
        Thread.current[COMMAND] = ops
        yield
      ensure
        Thread.current[COMMAND] = outer
      end

      # The adapter for this thread.
      def self.through(adapter)
        (ops = Thread.current[COMMAND]) ? new(adapter, ops) : adapter
      end

      def initialize(adapter, ops)
        super(adapter)
        @ops = ops
      end

      def broadcast(stream, payload)
        @ops.broadcast(stream, payload) || super
      end
    end
  end
end
