module Catenary
  module Rails
    # One call of catenary's: what is asked of one connection, and what came of it.
    class Call
      NO_TIMERS = {}.freeze

      attr_reader :link

      # env: of the POST, or of the link's upgrade. link, number: if it came over one.
      def initialize(endpoint, request, env, link = nil, number = nil)
        @endpoint, @request, @env, @link, @number = endpoint, request, env, link, number
        @warnings = []
        @live = nil
      end

      # Runs it, and writes its effects and its result on the link. Raises nothing.
      def run
        reload if @endpoint.reloads?
        result
      rescue Exception => error
        log error
      end

      # Runs it. Returns its result, which over a link has been written.
      def result
        Sync.forget unless delivering? # what the block before this one has done may not be written yet
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

      # Writes the effects that have been collected.
      def flush
        @live&.ops&.flush
      end

      private
        # Waits for all other calls if there is something to reload.
        def reload
          @endpoint.workers.give_up_role
          @endpoint.reload
        end

        def open
          answer = enter(&:process)
          return answered(answer) unless @live&.accepted?

          @live.command(@link, @number) { @live.open }
          conclude introduce(reply)
        end

        def introduce(reply)
          reply[:tags] = @live.logger.tags.map(&:to_s)
          reply[:id] = @live.connection.connection_identifier
          reply[:raised] = true if @live.raised?
          reply[:beat] = ActionCable::Server::Connections::BEAT_INTERVAL if @live.beats?
          reply
        end

        def continue
          @live = @endpoint.live_connections.take(@request["conn"], @request["ver"])
          return tell(need: "state") unless @live || @request["request"]

          restore unless @live
          lost = catch(@live) { command; nil } # see Lookups
          lose lost if lost
          return conclude(closed) if closing?
          conclude unopened? ? introduce(reply) : reply
        end

        def command
          @live.command(@link, @number) do
            @live.open if unopened?
            Trace.continue(@request["traceparent"], @live.connection) { act } if @live.alive? || !unopened?
          end
        end

        # What has run before it was found out may be seen.
        def lose(reason)
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
          else raise ArgumentError, "there is nothing to do by the name of #{@request["do"].inspect}"
          end
        end

        # Builds the connection where Action Cable is mounted; the block answers for it. Returns the answer.
        def enter
          generation = @endpoint.live_connections.generation
          handshake.enter(::Rails.application) do |cable, env|
            @live = build(cable, env)
            @live.generation = generation
            yield @live
          end
        end

        def restore
          opens = unopened? # or is refused, before any middleware could answer for it
          answer = enter { |live| opens ? live.process : [-1, {}, []] }
          @live ||= build(ActionCable.server, handshake.env) if closing?
          raise Lost, "the application's middleware now answers #{answer.first} to the handshake" unless @live
          raise Lost, "Action Cable answers #{answer.first} to the handshake" if opens && !@live.accepted?
          return if opens

          @live.prepare { Restoration.new(@live, @request, @endpoint.state, @warnings, lenient: closing?).run }
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

        # Whether it is one of many for a broadcast, which share what they write.
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
          @live.ledger.look(touched)

          result = { status: 200, ver: @live.version }
          channels = touched.to_h { |identifier| [identifier, outcome(@live.channels[identifier])] }
          stays = @endpoint.live_connections.keep(@live) && @link && !@endpoint.links.stopping?
          carry_state result, channels unless stays
          result[:channels] = channels unless channels.empty?
          result[:kept] = true if @live.ledger.complete?
          result
        end

        # Later it cannot be handed over.
        def carry_state(result, channels)
          lacking = @live.ledger.unwritten(@warnings)
          result[:state] = lacking[:state] if lacking[:state]
          lacking[:channels]&.each { |identifier, of_channel| channels[identifier] = (channels[identifier] || {}).merge(of_channel) }
        end

        def outcome(channel)
          return unless channel
          timers = channel.send(:active_periodic_timers)
          timers.empty? ? NO_TIMERS : { timers: timers.map(&:interval) }
        end

        # The result of a call that has run is told, with the effects that have not been.
        def conclude(result)
          @live.ops.finish do |effects|
            raise ArgumentError, "an effect of the call could not be sent" if @link && @live.ops.failed? && !@link.closed?
            result[:ops] = effects
            @endpoint.live_connections.settle @live unless closing? # before the next call can begin
            tell result
          end
          hand_over unless closing? || result[:kept]
          result
        end

        # Later, or at once if the process has begun to go meanwhile.
        def hand_over
          handover = @endpoint.handover
          @endpoint.links.stopping? ? handover.hand_over(@live) : handover.lacks(@live)
        end

        def answered((status, headers, body))
          tell status: status, headers: headers, body: body
        end

        def failure(kind, message)
          @live&.ops&.close
          tell status: 200, error: { kind: kind, message: message }
        end

        def tell(result)
          result[:warnings] = @warnings if @warnings.any?
          @link&.finish(@number, { end: @number }.merge!(result), together: delivering?)
          result
        end

        def log(error)
          ::Rails.logger&.error "[catenary] a call failed: #{error.message} (#{error.class})\n#{error.backtrace&.first(10)&.join("\n")}"
        end
    end
  end
end
