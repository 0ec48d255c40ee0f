module Catenary
  module Rails
    # Hands over to catenary what it lacks of the state of connections, from which another process can rebuild them. Writing a state
    # costs about as much as running a command, so it is done when no call runs, and for all connections when the process goes.
    # A process that is killed before has taken it along: then the browser must reconnect, as it natively would.
    class Handover
      include Clock

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

      # A call has ended, and its result said that catenary lacks some.
      def lacks(live)
        @mutex.synchronize { @lacking[live] ||= now }
      end

      # Writes what catenary lacks of it, unless a call is running for it.
      def hand_over(live)
        @live_connections.hold(live) { write live }
      end

      # Writes what is due. idle: whether no call runs.
      def look(idle:)
        return if @lacking.empty?
        started = now
        since = started - (idle ? @quiet : @latest)
        while now - started < SLICE && live = due(since)
          hand_over live
        end
      end

      # Of all whose last call came over that link.
      def hand_over_all(link)
        @live_connections.of(link).each { |live| hand_over live }
      end

      private
        def write(live)
          return if live.link.nil? || (link = live.link.current).closed?
          lacking, warnings = !live.ledger.complete?, []
          state = live.ledger.unwritten(warnings)
          state[:warnings] = warnings if warnings.any?
          live.ops.ended { link.write({ kept: live.name, ver: live.version }.merge!(state)) } if lacking || state.any?
        end

        def due(since)
          @mutex.synchronize do
            live, time = @lacking.first
            next unless live && time <= since
            @lacking.delete live
            live
          end
        end
    end
  end
end
