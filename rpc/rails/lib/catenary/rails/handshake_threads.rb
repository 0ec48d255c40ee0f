module Catenary
  module Rails
    # Threads that run the middleware of handshakes and nothing else, as the web server's threads do
    # natively. Commands neither find nor leave anything on them, such as a locale or a database
    # role. There are about as many as handshakes have ever run at once, which Workers limits.
    class HandshakeThreads
      def initialize
        @mutex = Mutex.new
        @idle = [] # the queue of each thread that has nothing to run
      end

      # Runs the block on one of the threads. Returns its value, or raises its exception.
      def run(&block)
        task = AwaitedTask.new(block)
        (@mutex.synchronize { @idle.pop } || start) << task
        task.value
      end

      private
        def start
          Queue.new.tap do |tasks|
            FreshThread.start do
              Thread.current.name = "catenary handshake"
              loop do
                tasks.pop.run
                @mutex.synchronize { @idle << tasks }
              end
            end
          end
        end
    end
  end
end
