module Catenary
  module Rails
    # The threads that read the links of this process and run its calls: never a web server's, and never Action Cable's own.
    #
    # Of each link one thread has the reading role. Having read a call it runs it itself, which saves a switch of threads, if fewer
    # than the limit are running; else the call is queued. If the call takes longer than a tick, the role goes to another
    # thread, so that pings are answered and other calls are read. A thread that ends a call takes the role back if its owner is in
    # a call. Besides the limit there is no more than one thread for each link.
    class Workers
      CURRENT = :catenary_worker
      QUICK = 2 # calls of one thread between two ticks: with fewer, another thread costs little and gains much if they wait

      # The worker that runs on this thread, or nil.
      def self.current
        Thread.current.thread_variable_get(CURRENT)
      end

      # limit: of calls that run at once, or what says it at the first.
      def initialize(limit)
        @limit = limit
        @mutex = Mutex.new
        @links, @queue, @workers, @parked = [], [], [], []
        @running = 0
        @ended, @slow = 0, false
        @watch = nil
      end

      def limit
        @limit.respond_to?(:call) ? @limit = @limit.call : @limit
      end

      attr_reader :running
      attr_writer :watch # is woken when calls begin to run

      # Reads that link from now on.
      def add(link)
        @mutex.synchronize do
          @links << link
          entrust link
        end
      end

      # Runs something (it answers to run, link and flush) as calls are run.
      def post(task)
        @mutex.synchronize do
          @running < limit ? start(task) : @queue << task
        end
      end

      # Runs the block as calls are run, and waits for what it returns.
      def run(&block)
        awaited = Awaited.new(block)
        post awaited
        awaited.value
      end

      # The worker has read a call. Returns whether it is to run it.
      def admit(link, call)
        admitted = @mutex.synchronize do
          link.reads += 1
          link.pending += 1
          if @running < limit
            @running += 1
            link.reading = false
            true
          else
            @queue << call
            false
          end
        end
        @watch&.wake
        admitted
      end

      # A call was read by a thread that cannot run it.
      def queue(link, call)
        @mutex.synchronize do
          link.pending += 1
          @queue << call
        end
      end

      # The worker has run that call. Returns the next one, or nil: then it may have the reading role of worker.link.
      def finish(worker, call)
        @mutex.synchronize do
          link = call.link
          link.pending -= 1 if link
          @ended += 1
          next @queue.shift unless @queue.empty?

          @running -= 1
          if worker.link
            worker.link.reading = true
          elsif @slow && link && !link.reading && @links.include?(link)
            pass link, worker
          end
          nil
        end
      end

      # Waits until there is something to do for the worker.
      def park(worker)
        @mutex.synchronize do
          @parked << worker
          worker.wait(@mutex)
        end
      end

      # The link is over.
      def remove(link)
        @mutex.synchronize { @links.delete(link) }
      end

      # The application has killed the worker's thread.
      def lose(worker)
        @mutex.synchronize do
          @workers.delete worker
          if call = worker.call
            @running -= 1
            call.link.pending -= 1 if call.link
          end
          entrust worker.link if worker.link && !@closed
        end
      end

      # The process ends, and with it all threads.
      def close
        @closed = true
      end

      # The thread of this call reads no more, because it may wait long.
      def give_up_role
        @mutex.synchronize do
          link = Workers.current&.link
          entrust link if link && !link.reading
        end
      end

      # Lends this thread the reading role, if it has it anyway or its owner does not read. Returns whether it did.
      def borrow(link)
        worker = Workers.current or return false
        @mutex.synchronize do
          next false if link.reading || !(worker.link.nil? || worker.link.equal?(link)) || !@links.include?(link)
          pass link, worker
          true
        end
      end

      # The thread has read, and goes on with its call.
      def give_back(link)
        @mutex.synchronize do
          link.reads += 1
          link.reading = false
        end
      end

      # Takes the role from threads that have been in one call since the last tick, or that leave others waiting though calls are
      # slow; and has calls run that can be. Returns whether any run, or have run since the last tick: this thread comes to look
      # when others wait, and then none may run.
      def tick
        @mutex.synchronize do
          busy = @ended > 0
          @slow = @ended < QUICK * @running
          @ended = 0
          @links.each do |link|
            entrust link if !link.reading && (link.reads == link.last_reads || (@slow && link.waiting?))
            link.last_reads = link.reads
          end
          start @queue.shift while @queue.any? && @running < limit
          busy || @running > 0
        end
      end

      # What runs at this moment.
      def calls
        @workers.filter_map(&:call)
      end

      def threads
        @workers.map(&:thread)
      end

      # Whether calls run or wait.
      def busy?
        @mutex.synchronize { @running > 0 || @queue.any? }
      end

      private
        # Gives the reading role to a thread that does nothing.
        def entrust(link)
          assign { |worker| pass link, worker }
        end

        def start(task)
          @running += 1
          @watch&.wake
          assign { |worker| worker.call = task }
        end

        def assign
          if worker = @parked.pop
            yield worker
            worker.wake
          else
            @workers << worker = Worker.new(self)
            yield worker
            worker.start @workers.size
          end
        end

        def pass(link, worker)
          link.reader.link = nil if link.reader && link.reader.link.equal?(link)
          link.reader, worker.link, link.reading = worker, link, true
        end
    end

    # A block that Workers run, and for whose value another thread waits.
    class Awaited
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
