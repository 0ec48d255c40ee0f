# frozen_string_literal: true

module Catenary
  module Rails
    # Keeps effects ahead of broadcasts and jobs. Before a thread broadcasts or enqueues a job, it
    # waits until catenary has acknowledged the effects that the thread has recorded; otherwise the
    # job, or a receiver of the broadcast, could be faster. Other ways to notify somebody (a PUBLISH
    # of the application's own, an HTTP request) may overtake effects by a few milliseconds.
    module Sync
      SECONDS = 1 # to wait at most: catenary may be waiting for a stream to become live

      # Thread variable: by link, the Effects to which the thread has added since it last waited.
      UNACKNOWLEDGED = :catenary_unacknowledged

      # Extends the application's pub/sub adapter.
      module Broadcasting
        def broadcast(*)
          Sync.wait
          Mount.endpoint&.links&.await_listening unless Listening.current?
          super
        end
      end

      # Prepended to ActiveJob: perform_all_later runs no callbacks.
      module Enqueuing
        def perform_all_later(*)
          Sync.wait
          super
        end
      end

      # Client middleware of Sidekiq, for workers that do not use Active Job.
      class SidekiqClient
        def call(*)
          Sync.wait
          yield
        end
      end

      class << self
        # This thread has added to these effects.
        def recorded(effects, link)
          thread = Thread.current
          unacknowledged = thread.thread_variable_get(UNACKNOWLEDGED) ||
            thread.thread_variable_set(UNACKNOWLEDGED, {}.compare_by_identity)
          unacknowledged[link] = effects
        end

        # Forgets the effects of earlier calls whose results are written: catenary keeps their order.
        def forget
          unacknowledged = Thread.current.thread_variable_get(UNACKNOWLEDGED)
          unacknowledged.delete_if { |link,| !link.holding? } unless unacknowledged.nil? || unacknowledged.empty?
        end

        def wait
          Mount.endpoint&.links&.flush # results of calls that other threads have run
          unacknowledged = Thread.current.thread_variable_get(UNACKNOWLEDGED)
          return if unacknowledged.nil? || unacknowledged.empty?

          deadline = Clock.now + SECONDS
          unacknowledged.each { |link, effects| effects.sync(link, deadline) }
          unacknowledged.clear
        end
      end
    end
  end
end
