module Catenary
  module Rails
    # All links of this process, and what they need to know about it: when it starts to stop, when
    # it ends, and that a forked child has none of them.
    #
    # A process that stops is a worker that Puma shuts down or restarts. catenary then sends no more
    # calls, takes over all states, and receives its broadcasts from elsewhere.
    class Links
      include Clock

      ACKNOWLEDGE_SECONDS = 5 # to wait until catenary has acknowledged that the process stops
      DRAIN_SECONDS = 25      # to wait for states and running calls; Puma kills its workers after 30
      MOVE_SECONDS = 11       # to wait until other processes listen to the broadcasts
      BYE_SECONDS = 1         # to wait until catenary has closed the links
      RESUBSCRIBE_SECONDS = 1 # that a broadcast waits after a restart of Action Cable
      STEP = 0.005            # seconds between two looks while waiting

      def initialize(endpoint)
        @endpoint = endpoint
        @mutex = Mutex.new
        reset
      end

      # Adds a link whose 101 response has been written. server: Puma's, or nil.
      def add(link, server)
        @mutex.synchronize do
          start server unless @pid
          @server ||= server
          @links << link
        end
        @endpoint.workers.add link
      end

      # The link has sent its hello. It replaces an earlier one of the same node.
      def opened(link)
        @mutex.synchronize do
          @open.each { |other| other.replaced_by link if other.node == link.node }
          @open << link
          next unless stopping?
          announce link, "began"
          announce link, "handed"
        end
      end

      # Whether the process is about to end.
      def stopping?
        @stopping
      end

      # The application's Action Cable has been restarted.
      def action_cable_restarted
        @mutex.synchronize { @open.dup }.each { |link| link.listening.resubscribe }
      end

      # Waits until broadcasts reach the links again after such a restart.
      def await_listening
        return if @open.all? { |link| link.listening.resubscribed? }
        wait_until(now + RESUBSCRIBE_SECONDS) { @open.all? { |link| link.listening.resubscribed? } }
        @open.each { |link| link.listening.give_up_resubscribing }
      end

      # Checks whether the web server is shutting down, or has come back: with fork_worker, Puma
      # stops the server of worker 0 while it forks the others.
      def poll
        forget_closed
        shutting_down = @server ? @server.shutting_down? : false
        return if shutting_down == @stopping || @draining
        shutting_down ? stop : resume
      end

      # Writes the messages that links hold.
      def flush
        @links.each(&:flush)
      end

      # Finishes running calls and tells catenary. To be called before the process exits or execs.
      def drain
        @draining = true
        started = now
        stop
        @handover_thread&.join(DRAIN_SECONDS)
        wait_until(started + ACKNOWLEDGE_SECONDS) { @open.all?(&:stop_acknowledged?) }
        wait_until(started + DRAIN_SECONDS) { !@endpoint.workers.busy? }
        wait_until(started + MOVE_SECONDS) { @open.all?(&:broadcasts_moved?) }
        @open.dup.each(&:send_bye)
        wait_until(now + BYE_SECONDS) { @open.all?(&:closed?) }
        @endpoint.workers.close
      end

      # In a forked child: the links remain the parent's.
      def abandon
        @links.each(&:abandon)
        reset
      end

      private
        def reset
          @links, @open, @server, @pid, @handover_thread = [], [], nil, nil, nil
          @stopping = @draining = false
        end

        def forget_closed
          return unless @links.any?(&:closed?)
          @mutex.synchronize { [@links, @open].each { |links| links.delete_if(&:closed?) } }
        end

        def start(server)
          @pid = pid = Process.pid
          @endpoint.workers.watch = Watch.new(@endpoint.workers, self, @endpoint.handover).tap(&:start)
          at_exit { drain if here?(pid) }
          subscribe_to server.events, pid if server.respond_to?(:events)
        end

        # Puma reports when its server stops and runs again. A hot restart in single mode calls exec,
        # and so no at_exit.
        def subscribe_to(events, pid)
          events.register(:state) { safely { poll } if here?(pid) }
          restarting = events.respond_to?(:before_restart) ? :before_restart : :on_restart # Puma 7, and earlier
          events.public_send(restarting) { safely { drain } if here?(pid) }
        end

        # An error of ours must not disturb the web server.
        def safely
          yield
        rescue StandardError => error
          ::Rails.logger&.error "[catenary] an error while the process stops: #{error.message} (#{error.class})"
        end

        # Whether this is the process that has registered the hook, and not a forked child.
        def here?(pid)
          Process.pid == pid && @pid == pid
        end

        def stop
          links = @mutex.synchronize do
            next if @stopping
            @stopping = true
            @open.dup
          end
          return unless links
          links.each { |link| announce link, "began" }
          @handover_thread = Thread.new do
            Thread.current.name = "catenary handover"
            safely { links.each { |link| hand_over link } }
          end
        end

        def resume
          @handover_thread&.join
          @mutex.synchronize do
            next unless @stopping
            @stopping = false
            @open.each { |link| announce link, "revoked" }
          end
        end

        def hand_over(link)
          @endpoint.handover.hand_over_all link
          announce link, "handed"
        end

        def announce(link, phase)
          link.write({ going: phase })
        end

        def wait_until(deadline)
          sleep STEP until yield || now > deadline
        end
    end
  end
end
