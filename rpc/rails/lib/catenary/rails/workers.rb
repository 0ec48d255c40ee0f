module Catenary
  module Rails
    # The threads that read the links of this process and run its calls. They are neither the web
    # server's threads nor Action Cable's.
    #
    # For each link one thread has the reading role. It runs the calls that it reads itself, which
    # saves a thread switch, as long as fewer than the limit are running; otherwise it queues them.
    # If a call takes longer than a tick, the role moves to another thread, which answers pings and
    # reads further calls. A thread that ends a call takes the role back if its owner is running a
    # call. Besides the limit there is at most one thread for each link.
    class Workers
      CURRENT = :catenary_worker # thread variable

      # Calls of a thread within one tick, below which calls count as slow. Then moving the role
      # costs little compared to what the waiting calls gain.
      QUICK = 5

      attr_reader :running # calls that run now
      attr_writer :watch # woken when a call begins to run

      # The worker that runs on this thread, or nil.
      def self.current
        Thread.current.thread_variable_get(CURRENT)
      end

      # limit: calls that run at once, or a proc that returns it when it is first needed.
      def initialize(limit)
        @limit = limit
        @mutex = Mutex.new
        @links, @queue, @workers, @parked = [], [], [], []
        @running = 0
        @ended, @slow = 0, false # calls that have ended since the last tick, and whether they are slow
        @watch = nil
      end

      def limit
        @limit.respond_to?(:call) ? @limit = @limit.call : @limit
      end

      # Starts to read the link.
      def add(link)
        @mutex.synchronize do
          @links << link
          assign_role link
        end
      end

      # Runs a task as calls are run. It responds to run, link and flush.
      def post(task)
        @mutex.synchronize do
          @running < limit ? start(task) : @queue << task
        end
      end

      # Runs the block as calls are run, and returns its value.
      def run(&block)
        task = AwaitedTask.new(block)
        post task
        task.value
      end

      # The worker of that link has read a call. Returns whether it is to run it; otherwise the call
      # is queued.
      def claim(link, call)
        claimed = @mutex.synchronize do
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
        claimed
      end

      # Queues a call that was read by a thread in the middle of another call.
      def enqueue(link, call)
        @mutex.synchronize do
          link.pending += 1
          @queue << call
        end
      end

      # The worker has run the call. Returns the next one; or nil, and then the worker may have the
      # reading role of worker.link.
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
            give_role link, worker
          end
          nil
        end
      end

      # Whether at least QUICK calls ended in the last tick for each that was running.
      def quick?
        !@slow
      end

      # Waits until the worker has something to do.
      def park(worker)
        @mutex.synchronize do
          @parked << worker
          worker.wait(@mutex)
        end
      end

      # The link is closed.
      def remove_link(link)
        @mutex.synchronize { @links.delete(link) }
      end

      # The worker's thread has ended: the application has killed it.
      def remove_worker(worker)
        @mutex.synchronize do
          @workers.delete worker
          if call = worker.call
            @running -= 1
            call.link.pending -= 1 if call.link
          end
          assign_role worker.link if worker.link && !@closed
        end
      end

      # The process ends, and with it all threads.
      def close
        @closed = true
      end

      # This thread's call may have to wait for others, so another thread reads from now on.
      def give_up_role
        @mutex.synchronize do
          link = Workers.current&.link
          assign_role link if link && !link.reading
        end
      end

      # Lends the link's reading role to this thread, in the middle of a call, if it has the role
      # anyway or the owner is not reading. Returns whether it did.
      def borrow_role(link)
        worker = Workers.current or return false
        @mutex.synchronize do
          next false if link.reading || !(worker.link.nil? || worker.link.equal?(link)) || !@links.include?(link)
          give_role link, worker
          true
        end
      end

      # The thread has stopped reading and continues its call.
      def return_role(link)
        @mutex.synchronize do
          link.reads += 1
          link.reading = false
        end
      end

      # Moves reading roles away from threads that have run one call since the last tick, or that
      # keep others waiting while calls are slow. Starts queued calls as far as possible. Returns
      # whether calls run or have ended since the last tick: Watch gets to run when calls wait, so
      # none may be running now.
      def tick
        @mutex.synchronize do
          busy = @ended > 0
          @slow = @ended < QUICK * @running
          @ended = 0
          @links.each do |link|
            assign_role link if !link.reading && (link.reads == link.last_reads || (@slow && link.readable?))
            link.last_reads = link.reads
          end
          start @queue.shift while @queue.any? && @running < limit
          busy || @running > 0
        end
      end

      # The calls that run now.
      def calls
        @workers.filter_map(&:call)
      end

      def threads
        @workers.map(&:thread)
      end

      # Whether calls run or are queued.
      def busy?
        @mutex.synchronize { @running > 0 || @queue.any? }
      end

      private
        # Gives the reading role to a thread that is free.
        def assign_role(link)
          with_free_worker { |worker| give_role link, worker }
        end

        def start(task)
          @running += 1
          @watch&.wake
          with_free_worker { |worker| worker.call = task }
        end

        def with_free_worker
          if worker = @parked.pop
            yield worker
            worker.wake
          else
            @workers << worker = Worker.new(self)
            yield worker
            worker.start @workers.size
          end
        end

        def give_role(link, worker)
          link.reader.link = nil if link.reader && link.reader.link.equal?(link)
          link.reader, worker.link, link.reading = worker, link, true
        end
    end
  end
end
