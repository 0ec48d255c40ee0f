module Catenary
  module Rails
    # One call of catenary's: what is asked of one connection, and what came of it.
    class Call
      def initialize(endpoint, call, node, env)
        @endpoint, @call, @node, @env = endpoint, call, node, env
        @warnings = []
      end

      def result
        @call["do"] == "open" ? open : continue
      rescue Lost => error
        failure "lost", error.message
      rescue Identities::Refused => error
        ::Rails.logger&.error "[catenary] #{error.message}"
        failure "refused", error.message
      rescue StandardError, ScriptError => error
        log error
        failure "internal", "#{error.message} (#{error.class})"
      end

      private
        def open
          live, answer = enter(&:process)
          return answered(answer) unless live&.accepted?

          ops = live.command(@node) { live.open }
          introduce live, reply(live, ops)
        end

        def introduce(live, reply)
          reply.merge!(tags: live.logger.tags.map(&:to_s), id: live.connection.connection_identifier)
        end

        def continue
          live = @endpoint.live_connections.take(@call["conn"], @call["ver"])
          live ||= @call["request"] ? restore : (return { need: "state" })

          ops = live.command(@node, @call["seq"]) do
            live.open if unopened?
            Trace.continue(@env, live.connection) { act(live) } if live.alive? || !unopened?
          end
          return { status: 200, ops: [], warnings: @warnings } if closing?
          unopened? ? introduce(live, reply(live, ops)) : reply(live, ops)
        end

        # Whether this is the first call for a connection that catenary has identified.
        def unopened?
          identities && @call["request"] && @call["state"].nil?
        end

        def act(live)
          case @call["do"]
          when "frames"  then Array(@call["frames"]).each { |frame| live.receive(frame) }
          when "tick"    then live.tick(@call["channel"], @call["timer"].to_i)
          when "message" then live.deliver(@call["channel"], @call["stream"].to_s, @call["payload"].to_s)
          when "close"   then live.close
          when "state"   then nil
          else raise ArgumentError, "there is nothing to do by the name of #{@call["do"].inspect}"
          end
        end

        # Builds the connection where Action Cable is mounted; the block answers for it. Returns it and the answer.
        def enter
          live = nil
          generation = @endpoint.live_connections.generation
          answer = handshake.enter(::Rails.application) do |cable, env|
            live = build(cable, env)
            live.generation = generation
            yield live
          end
          [live, answer]
        end

        def restore
          opens = unopened? # or is refused, before any middleware could answer for it
          live, answer = enter { |live| opens ? live.process : [-1, {}, []] }
          live ||= build(ActionCable.server, handshake.env) if closing?
          raise Lost, "the application's middleware now answers #{answer.first} to the handshake" unless live
          raise Lost, "Action Cable answers #{answer.first} to the handshake" if opens && !live.accepted?
          return live if opens

          live.command(@node) do
            Restoration.new(live, @call, @endpoint.state, @warnings, lenient: closing?).run
          end
          live.remember
          live
        end

        def handshake
          Handshake.new(@call.fetch("request"), @env)
        end

        def build(cable, env)
          LiveConnection.new(@call.fetch("conn"), env, cable, @call["protocol"], @endpoint, identities)
        end

        def identities
          return unless values = @call["identities"]
          @identities ||= Identities.new(values, allowed: @endpoint.identify, identifiers: ActionCable.server.connection_identifiers)
        end

        def closing?
          @call["do"] == "close"
        end

        def answered((status, headers, body))
          { status: status, headers: headers, body: body }
        end

        def reply(live, ops)
          live.version = @endpoint.boot.next
          @with_state = want_state? || !@endpoint.live_connections.keep(live)
          result = { status: 200, ops: ops, ver: live.version }
          result[:state] = @endpoint.state.of_connection(live, @warnings) if @with_state
          channels = outcomes(live, ops)
          result[:channels] = channels if channels.any?
          result[:kept] = true if !@with_state && live.unchanged?
          result[:warnings] = @warnings if @warnings.any?
          if @with_state
            live.remember
            @endpoint.live_connections.keep(live)
          end
          result
        end

        def want_state?
          @call["want"] == "state" || @call["do"] == "open" || @call["do"] == "state"
        end

        def outcomes(live, ops)
          names = touched(live, ops)
          names |= live.channels.keys if @with_state
          names.to_h { |identifier| [identifier, outcome(live.channels[identifier])] }
        end

        def touched(live, ops)
          named = live.coder.identifiers
          named |= [@call["channel"]] if @call["channel"]
          ops.each { |kind, identifier| named |= [identifier] if %w[sub unsub confirm reject].include?(kind) }
          named
        end

        def outcome(channel)
          return unless channel
          {}.tap do |outcome|
            timers = channel.send(:active_periodic_timers)
            outcome[:timers] = timers.map(&:interval) if timers.any?
            outcome[:state] = @endpoint.state.of_channel(channel, @warnings) if @with_state
          end
        end

        def failure(kind, message)
          { status: 200, error: { kind: kind, message: message }, warnings: @warnings }
        end

        def log(error)
          ::Rails.logger&.error "[catenary] a call failed: #{error.message} (#{error.class})\n#{error.backtrace&.first(10)&.join("\n")}"
        end
    end
  end
end
