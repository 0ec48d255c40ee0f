module Catenary
  module Rails
    # Hands over to catenary what it lacks of the state of connections, from which another process can rebuild them. Writing a state
    # costs about as much as running a command, so it is done when no call runs, and for all connections when the process goes.
    # A process that is killed before has taken it along: then the browser must reconnect, as it natively would.
    class Handover
      QUIET = 0.05        # seconds for which a state may be lacking though no call runs
      LATEST = 2          # seconds for which it may be lacking while calls run
      SLICE = Watch::TICK # seconds for which the thread that looks writes before it looks again

      attr_writer :quiet, :latest

      def initialize(live_connections)
        @live_connections = live_connections
        @mutex = Mutex.new
        @lacking = {}.compare_by_identity # LiveConnection => since when, in that order
        @quiet, @latest = QUIET, LATEST
      end

      # A call has ended, and its result said that catenary lacks some. at_once: for the process has begun to go meanwhile.
      def lacks(live, at_once: false)
        return @live_connections.hold(live) { write live } if at_once
        @mutex.synchronize { @lacking[live] ||= now }
      end

      # Writes what is due. idle: whether no call runs.
      def look(idle:)
        return if @lacking.empty?
        started = now
        since = started - (idle ? @quiet : @latest)
        while now - started < SLICE && live = due(since)
          @live_connections.hold(live) { write live }
        end
      end

      # Writes it of all whose last call came over that link.
      def write_all(link)
        @live_connections.of(link).each { |live| @live_connections.hold(live) { write live } }
      end

      # Only while it is held (see LiveConnections).
      def write(live)
        return if live.link.nil? || (link = live.link.current).closed?
        lacking, warnings = !live.ledger.complete?, []
        state = live.ledger.unwritten(warnings)
        state[:warnings] = warnings if warnings.any?
        live.ops.ended { link.write({ kept: live.name, ver: live.version }.merge!(state)) } if lacking || state.any?
      end

      private
        def due(since)
          @mutex.synchronize do
            live, time = @lacking.first
            next unless live && time <= since
            @lacking.delete live
            live
          end
        end

        def now
          Process.clock_gettime(Process::CLOCK_MONOTONIC)
        end
    end
  end
end
