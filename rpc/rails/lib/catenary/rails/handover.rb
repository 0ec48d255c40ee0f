module Catenary
  module Rails
    # Hands over to catenary the state that it lacks, so that another process can rebuild the
    # objects. Writing a state costs about as much as running a command, so this happens when no
    # call runs, and for all connections when the process stops. If the process is killed before,
    # the state is lost and the browser must reconnect, as it would natively.
    class Handover
      include Clock

      IDLE_DELAY = 0.05   # seconds that a state waits while no call runs
      BUSY_DELAY = 2      # seconds that it waits while calls run
      SLICE = 0.002       # seconds of writing between two ticks of Watch

      attr_writer :idle_delay, :busy_delay # for tests

      def initialize(live_connections)
        @live_connections = live_connections
        @mutex = Mutex.new
        @waiting = {}.compare_by_identity # LiveConnection => since when, in that order
        @idle_delay, @busy_delay = IDLE_DELAY, BUSY_DELAY
      end

      # A call has ended, and after its result catenary lacks a part of the state.
      def enqueue(live)
        @mutex.synchronize { @waiting[live] ||= now }
      end

      # Writes what catenary lacks of the state, unless a call is running for the connection. hold:
      # see Link#write; wait: see LiveConnections#lock_idle.
      def hand_over(live, hold: false, wait: false)
        @live_connections.lock_idle(live, wait: wait) { write live, hold }
      end

      # Writes the states that have waited long enough, together: the links hold them until flush.
      # idle: whether no call runs. Returns whether more may be due.
      def write_due(idle:)
        return false if @waiting.empty?
        started = now
        since = started - (idle ? @idle_delay : @busy_delay)
        while live = take_due(since)
          hand_over live, hold: true
          return true if now - started >= SLICE
        end
        false
      end

      # Writes the states of all connections whose last call came over that link. When it returns,
      # those that write_due has begun to write are written too.
      def hand_over_all(link)
        @live_connections.of_link(link).each { |live| hand_over live, wait: true }
      end

      private
        def write(live, hold)
          return if live.link.nil?
          link = live.link.current
          return if link.closed?

          incomplete, warnings = !live.ledger.complete?, []
          state = live.ledger.take_missing(warnings)
          state[:warnings] = warnings if warnings.any?
          return unless incomplete || state.any?
          live.effects.after_result { link.write({ kept: live.name, ver: live.version }.merge!(state), hold: hold) }
        end

        def take_due(since)
          @mutex.synchronize do
            live, time = @waiting.first
            next unless live && time <= since
            @waiting.delete live
            live
          end
        end
    end
  end
end
