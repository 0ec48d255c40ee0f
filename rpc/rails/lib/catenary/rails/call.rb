# frozen_string_literal: true

module Catenary
  module Rails
    # One call of catenary's for one connection, and its result (docs/rpc.md, "A call").
    class Call
      NO_TIMERS = {}.freeze

      attr_reader :link

      # env: of the POST, or of the link's upgrade. link, number: nil for a POST.
      def initialize(endpoint, request, env, link = nil, number = nil)
        @endpoint, @request, @env, @link, @number = endpoint, request, env, link, number
        @warnings = []
        @live = nil
      end

      # Runs the call and writes its effects and its result to the link. Raises nothing.
      def run
        reload if @endpoint.reloads?
        result
      rescue Exception => error
        log error
      end

      # Runs the call. Returns its result, which has been written if there is a link.
      def result
        Sync.forget unless delivering? # the results of earlier deliveries may not be written yet
        @request["do"] == "open" ? open : continue
      rescue Lost => error
        failure "lost", error.message
      rescue Identities::Refused => error
        ::Rails.logger&.error "[catenary] #{error.message}"
        failure "refused", error.message
      rescue StandardError, ScriptError => error
        log error
        failure "internal", "#{error.message} (#{error.class})"
      end

      # Writes the effects collected so far.
      def flush
        @live&.effects&.flush
      end

      private
        # Waits for all other calls if there is something to reload.
        def reload
          @endpoint.workers.give_up_role
          @endpoint.reload
        end

        def open
          answer = enter(&:process)
          return respond_with(answer) unless @live&.accepted?

          @live.command(@link, @number) { @live.open }
          conclude describe_connection(reply)
        end

        # Adds what only the result of a connection's first call has.
        def describe_connection(reply)
          reply[:tags] = @live.logger.tags.map(&:to_s)
          reply[:id] = @live.connection.connection_identifier
          reply[:raised] = true if @live.raised?
          reply[:beat] = ActionCable::Server::Connections::BEAT_INTERVAL if @live.overrides_beat?
          reply
        end

        def continue
          @live = @endpoint.live_connections.take(@request["conn"], @request["ver"])
          return respond(need: "state") unless @live || @request["request"]

          restore unless @live
          lost = catch(@live) { command; nil } # Lookups throws
          raise_lost lost if lost
          return conclude(closed) if closing?
          conclude unopened? ? describe_connection(reply) : reply
        end

        def command
          @live.command(@link, @number) do
            @live.open if unopened?
            Trace.continue(@request["traceparent"], @live.connection) { act } if @live.alive? || !unopened?
          end
        end

        # The effects before the loss have happened, so the browser may see them.
        def raise_lost(reason)
          flush
          raise Lost, reason
        end

        # Whether this is the first call for a connection that catenary has identified.
        def unopened?
          identities && @request["request"] && @request["state"].nil?
        end

        def act
          case @request["do"]
          when "frames"  then Array(@request["frames"]).each { |frame| @live.receive(frame) }
          when "tick"    then @live.tick(@request["channel"], @request["timer"].to_i)
          when "beat"    then @live.beat
          when "message" then @live.deliver(@request["channel"], @request["stream"].to_s, @request["payload"].to_s)
          when "close"   then @live.close(@request["code"], @request["text"].to_s, failed: @request["failed"], warnings: @warnings)
          else raise ArgumentError, "unknown call #{@request["do"].inspect}"
          end
        end

        # Sends the handshake through the application and builds the connection where Action Cable
        # is mounted. The block answers for Action Cable. Returns the Rack response.
        def enter
          generation = @endpoint.live_connections.generation
          handshake.enter(::Rails.application, @endpoint.handshake_threads) do |cable, env|
            @live = build(cable, env)
            @live.generation = generation
            yield @live
          end
        end

        def restore
          opens = unopened? # before Identities::Refused could be raised inside of a middleware
          answer = enter { |live| opens ? live.process : [-1, {}, []] }
          @live ||= build(ActionCable.server, handshake.env) if closing?
          raise Lost, "the application's middleware now answers #{answer.first} to the handshake" unless @live
          raise Lost, "Action Cable answers #{answer.first} to the handshake" if opens && !@live.accepted?
          return if opens

          @live.with_jobs { Restoration.new(@live, @request, @endpoint.state, @warnings, lenient: closing?).run }
        end

        def handshake
          Handshake.new(@request.fetch("request"), @env, @request["traceparent"])
        end

        def build(cable, env)
          LiveConnection.new(@request.fetch("conn"), env, cable, @request["protocol"], @endpoint, identities)
        end

        def identities
          return unless values = @request["identities"]
          @identities ||= Identities.new(values, allowed: @endpoint.identify, identifiers: ActionCable.server.connection_identifiers)
        end

        # Whether this call delivers a broadcast. There may be one for every connection with the
        # stream, and their results are written together.
        def delivering?
          @request["do"] == "message"
        end

        def closing?
          @request["do"] == "close"
        end

        def closed
          { status: 200 }
        end

        # The result of a call that has run, without its effects.
        def reply
          @live.version = @endpoint.process.next_version
          touched = @live.touched(@request["channel"])
          @live.ledger.check(touched)

          result = { status: 200, ver: @live.version }
          channels = touched.to_h { |identifier| [identifier, outcome(@live.channels[identifier])] }
          kept = @endpoint.live_connections.keep(@live)
          add_state result, channels unless kept && @link && !@endpoint.links.stopping?
          result[:channels] = channels unless channels.empty?
          result[:kept] = true if @live.ledger.complete?
          result
        end

        # Adds the state that catenary lacks, where it cannot be handed over later.
        def add_state(result, channels)
          missing = @live.ledger.take_missing(@warnings)
          result[:state] = missing[:state] if missing[:state]
          missing[:channels]&.each { |identifier, state| channels[identifier] = (channels[identifier] || {}).merge(state) }
        end

        def outcome(channel)
          return unless channel
          timers = channel.send(:active_periodic_timers)
          timers.empty? ? NO_TIMERS : { timers: timers.map(&:interval) }
        end

        # Responds with the result of a call that has run, and with its remaining effects.
        def conclude(result)
          @live.effects.finish do |effects|
            raise ArgumentError, "failed to send an effect of the call" if @link && @live.effects.failed? && !@link.closed?
            result[:ops] = effects
            @endpoint.live_connections.mark_idle @live unless closing? # before the next call can begin
            respond result
          end
          hand_over unless closing? || result[:kept]
          result
        end

        # Later, or at once if the process has begun to stop meanwhile.
        def hand_over
          handover = @endpoint.handover
          @endpoint.links.stopping? ? handover.hand_over(@live) : handover.enqueue(@live)
        end

        def respond_with((status, headers, body))
          respond status: status, headers: headers, body: body
        end

        def failure(kind, message)
          @live&.effects&.close
          respond status: 200, error: { kind: kind, message: message }
        end

        def respond(result)
          result[:warnings] = @warnings if @warnings.any?
          @link&.finish(@number, { end: @number }.merge!(result), all: delivering?)
          result
        end

        def log(error)
          ::Rails.logger&.error "[catenary] a call failed: #{error.message} (#{error.class})\n#{error.backtrace&.first(10)&.join("\n")}"
        end
    end
  end
end
