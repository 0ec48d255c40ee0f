module Catenary
  module Rails
    # The worker pool of one connection: Rails' own work with all its callbacks (the executor, log tags, what the application
    # added), on the thread that answers the call. What is invoked asynchronously runs at the end of the command, or on one of the
    # gem's workers if no command is running.
    class WorkerPool < ActionCable::Server::Worker
      # A job as Workers have it.
      Job = Struct.new(:block) do
        def run
          block.call
        rescue Exception => error
          ::Rails.logger&.error "[catenary] #{error.message} (#{error.class})"
        end

        def link
        end

        def flush
        end
      end

      # Natively there is one pool, whose class knows the connection that its thread works for.
      class << self
        delegate :connection, :connection=, to: :superclass
      end

      def initialize(endpoint)
        @executor = Jobs.new(endpoint) # in place of Rails' threads
      end

      delegate :begin, :drain, :finish, to: :executor

      # What is to run after what runs now, in order.
      class Jobs
        def initialize(endpoint)
          @endpoint = endpoint
          @mutex = Mutex.new
          @jobs = nil
        end

        # A command begins.
        def begin
          @mutex.synchronize { @jobs = [] }
        end

        def post(&job)
          @mutex.synchronize { @jobs&.push(job) } || @endpoint.workers.post(Job.new(job))
        end

        def drain
          while !@jobs.empty? && (job = @mutex.synchronize { @jobs.shift })
            job.call
          end
        end

        # The command ends. Jobs that another thread adds at this moment run here too.
        def finish
          while job = @mutex.synchronize { @jobs.shift || (@jobs = nil) }
            job.call
          end
        end

        def shutdown
        end

        def shuttingdown?
          false
        end
      end
    end
  end
end
