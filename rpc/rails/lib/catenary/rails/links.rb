module Catenary
  module Rails
    # The links of this process, from the first one to the end of the process.
    class Links
      include Clock

      HEARD_SECONDS = 5  # for which catenary may take to hear that the process goes
      DRAIN_SECONDS = 25 # for which calls may take that run when the process ends; Puma kills its workers after 30
      BYE_SECONDS = 1    # for which catenary may take to close the link
      MOVE_SECONDS = 3   # for which it may take to have others listen to broadcasts
      REOPEN_SECONDS = 1 # for which a broadcast waits until it will be heard
      STEP = 0.005

      def initialize(endpoint)
        @endpoint = endpoint
        @mutex = Mutex.new
        forget
      end

      # A link whose 101 has been written. server: Puma's, or nil.
      def add(link, server)
        @mutex.synchronize do
          start server unless @pid
          @server ||= server
          @links << link
        end
        @endpoint.workers.add link
      end

      # The link has said hello. An earlier one of the same node has been given up by it.
      def greeted(link)
        @mutex.synchronize do
          @greeted.each { |other| other.succeeded_by link if other.node == link.node }
          @greeted << link
          next unless stopping?
          tell link, "began"
          tell link, "handed"
        end
      end

      # Whether the process is about to end.
      def stopping?
        @stopping
      end

      # The application's Action Cable has been restarted.
      def restarted
        @mutex.synchronize { @greeted.dup }.each { |link| link.listening.restarted }
      end

      # Waits until what is broadcast is heard again after that.
      def await_listening
        return if @greeted.all? { |link| link.listening.reopened? }
        wait_until(now + REOPEN_SECONDS) { @greeted.all? { |link| link.listening.reopened? } }
        @greeted.each { |link| link.listening.give_up_reopening }
      end

      # Every now and then: does the server go, or has it come back (a worker of Puma's that others are forked from)?
      def poll
        forget_closed
        stopping = @server ? @server.shutting_down? : false
        return if stopping == @stopping || @draining
        stopping ? go : stay
      end

      # Writes what the links hold.
      def flush
        @links.each(&:flush)
      end

      # Before the process ends, or becomes another program: what runs ends, and catenary is told of it.
      def drain
        @draining = true
        started = now
        go
        @handing&.join(HEARD_SECONDS)
        wait_until(started + HEARD_SECONDS) { @greeted.all?(&:stop_acknowledged?) }
        wait_until(started + DRAIN_SECONDS) { !@endpoint.workers.busy? }
        wait_until(started + MOVE_SECONDS) { @greeted.all?(&:moved?) }
        @greeted.dup.each(&:say_bye)
        wait_until(now + BYE_SECONDS) { @greeted.all?(&:closed?) }
        @endpoint.workers.close
      end

      # In a child process: its parent's links are none of its business.
      def abandon
        @links.each(&:forget)
        forget
      end

      private
        def forget
          @links, @greeted, @server, @pid, @handing = [], [], nil, nil, nil
          @stopping = @draining = false
        end

        def forget_closed
          return unless @links.any?(&:closed?)
          @mutex.synchronize { [@links, @greeted].each { |links| links.delete_if(&:closed?) } }
        end

        def start(server)
          @pid = pid = Process.pid
          @endpoint.workers.watch = Watch.new(@endpoint.workers, self, @endpoint.handover).tap(&:start)
          at_exit { drain if here?(pid) }
          attend server.events, pid if server.respond_to?(:events)
        end

        # Puma's server says when it stops and when it runs again. A hot restart in single mode becomes another program,
        # without at_exit.
        def attend(events, pid)
          events.register(:state) { safely { poll } if here?(pid) }
          restarting = events.respond_to?(:before_restart) ? :before_restart : :on_restart # as of Puma 7, and before
          events.public_send(restarting) { safely { drain } if here?(pid) }
        end

        # The server's own affairs must not suffer.
        def safely
          yield
        rescue StandardError => error
          ::Rails.logger&.error "[catenary] #{error.message} (#{error.class})"
        end

        # Whether neither this process nor its links are those of a child.
        def here?(pid)
          Process.pid == pid && @pid == pid
        end

        def go
          links = @mutex.synchronize do
            next if @stopping
            @stopping = true
            @greeted.dup
          end
          return unless links
          links.each { |link| tell link, "began" }
          @handing = Thread.new do
            Thread.current.name = "catenary stopping"
            safely { links.each { |link| hand_over link } }
          end
        end

        def stay
          @handing&.join
          @mutex.synchronize do
            next unless @stopping
            @stopping = false
            @greeted.each { |link| tell link, "revoked" }
          end
        end

        def hand_over(link)
          @endpoint.handover.hand_over_all link
          tell link, "handed"
        end

        def tell(link, what)
          link.write({ going: what })
        end

        def wait_until(deadline)
          sleep STEP until yield || now > deadline
        end
    end
  end
end
