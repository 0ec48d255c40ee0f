module Catenary
  module Rails
    # Stands in for Rails' worker pool, for one connection. Runs work with all of Rails' callbacks
    # (the executor, log tags, those of the application), but on the thread that answers the call.
    # What is invoked asynchronously runs at the end of the command, or on one of Workers' threads
    # if no command is running.
    class WorkerPool < ActionCable::Server::Worker
      # A task for Workers.
      Job = Struct.new(:block) do
        def run
          block.call
        rescue Exception => error
          ::Rails.logger&.error "[catenary] work posted to the worker pool failed: #{error.message} (#{error.class})"
        end

        def link
        end

        def flush
        end
      end

      # Natively there is one pool, and its class knows the connection that a thread works for.
      class << self
        delegate :connection, :connection=, to: :superclass
      end

      def initialize(endpoint)
        @executor = Jobs.new(endpoint) # in place of Rails' threads
      end

      delegate :begin, :drain, :finish, to: :executor

      # The channel whose timer or stream block is running, or nil.
      attr_accessor :channel

      # Rails' invoke rescues exceptions, so they are reported inside it. A timer's block runs through
      # instance_exec on the channel, a stream's handler through call.
      def invoke(receiver, method, *args, connection:, &block)
        channel = @channel
        if channel && method == :instance_exec
          super(receiver, method, *args, connection: connection) do |*values|
            ChannelEvents.report_exceptions(channel) { receiver.instance_exec(*values, &block) }
          end
        elsif channel && method == :call && Proc === receiver
          reporting = ->(*values) { ChannelEvents.report_exceptions(channel) { receiver.call(*values) } }
          super(reporting, method, *args, connection: connection)
        else
          super
        end
      end

      # The queue of what is to run after the current work, in order.
      class Jobs
        def initialize(endpoint)
          @endpoint = endpoint
          @mutex = Mutex.new
          @jobs = nil # an Array while a command runs
        end

        # Starts a command.
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

        # Ends the command, after the jobs that other threads have added.
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
