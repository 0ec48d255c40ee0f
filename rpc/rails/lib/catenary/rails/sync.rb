module Catenary
  module Rails
    # Keeps the order of the code: before a thread broadcasts or enqueues a job, catenary must have the effects that the thread
    # has recorded, since the job or the broadcast's receiver could be faster. What else an application tells others with (its own
    # PUBLISH, an HTTP request) may overtake what was recorded in the last ticks.
    module Sync
      SECONDS = 1 # at most; catenary may be waiting for its source of broadcasts
      MARKS = :catenary_unacknowledged # of a thread: by link the Ops in which it has recorded last

      # The pub/sub adapter of the application is extended with this.
      module Broadcasting
        def broadcast(*)
          Sync.wait
          Mount.endpoint&.links&.await_listening unless Listening.current?
          super
        end
      end

      # Prepended to ActiveJob: jobs that are enqueued many at a time run no callbacks.
      module Enqueuing
        def perform_all_later(*)
          Sync.wait
          super
        end
      end

      # Middleware of Sidekiq's client: its own workers know nothing of ActiveJob.
      class SidekiqClient
        def call(*)
          Sync.wait
          yield
        end
      end

      class << self
        def recorded(ops, link)
          thread = Thread.current
          marks = thread.thread_variable_get(MARKS) || thread.thread_variable_set(MARKS, {}.compare_by_identity)
          marks[link] = ops
        end

        # What this thread recorded in an earlier call is in order without us: catenary has the end of that call.
        def forget
          Thread.current.thread_variable_get(MARKS)&.clear
        end

        def wait
          marks = Thread.current.thread_variable_get(MARKS)
          return if marks.nil? || marks.empty?

          deadline = Clock.now + SECONDS
          marks.each { |link, ops| ops.sync(link, deadline) }
          marks.clear
        end
      end
    end
  end
end
