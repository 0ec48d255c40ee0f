require "openssl"

module Catenary
  module Rails
    # One standing connection of a catenary node into this process (docs/rpc.md, "The link").
    class Link
      include Clock

      PROOF_SECONDS = 5

      attr_reader :node, :env, :listening
      # Guarded by Workers: who reads, whether that thread is reading and not in a call, how many calls it has read, and how many
      # of them have not ended.
      attr_accessor :reader, :reading, :reads, :last_reads, :pending

      # env: of the upgrade. proof: what catenary's first frame must say. hello: the block that makes ours.
      def initialize(endpoint, framing, node, env, proof:, proof_seconds: PROOF_SECONDS, &hello)
        @endpoint, @framing, @node, @env = endpoint, framing, node, env
        @proof, @proof_seconds, @hello = proof, proof_seconds, hello
        @reading, @reads, @last_reads, @pending = true, 0, 0, 0
        @mutex, @synced = Mutex.new, ConditionVariable.new
        @syncs, @awaited = 0, {}
        @stop_acknowledged, @moved, @successor = false, false, nil
        @listening = Listening.new(self)
      end

      # The next call; nil when the link is over. Everything else that catenary says is dealt with here.
      def read
        greet or return if @proof
        call = nil
        nil until (call = read_call) || closed?
        call
      end

      # Returns whether it was written.
      def write(message)
        text = JSON.generate(message)
        return @framing.write(text) if text.bytesize <= Framing::LIMIT
        ::Rails.logger&.error "[catenary] #{message.keys.first} was not sent: it takes #{text.bytesize} bytes, more than #{Framing::LIMIT}"
        false
      end

      # The result of a call. One that is too long, or is no text, is an error of the call. together: if other calls have come, it
      # travels with what is written next, or at the next tick.
      def finish(number, result, together: false)
        text = JSON.generate(result)
        text.bytesize <= Framing::LIMIT or raise ArgumentError, "the result takes #{text.bytesize} bytes, more than #{Framing::LIMIT}"
        @framing.write(text, hold: together && @framing.more?)
      end

      # Writes the results that are held.
      def flush
        @framing.flush
      end

      # Waits until catenary has the effects that were written so far where they belong, but not after the deadline. A thread of
      # ours that has the reading role, or finds it unused, reads what comes in the meantime itself.
      def sync(connection, deadline)
        number = @mutex.synchronize { @awaited[@syncs += 1] = true; @syncs }
        return unless write({ sync: number, conn: connection })

        if @endpoint.workers.borrow(self)
          begin
            pump(number, deadline)
          ensure
            @endpoint.workers.give_back(self)
          end
        else
          await(number, deadline)
        end
      ensure
        @mutex.synchronize { @awaited.delete(number) } if number
      end

      # Its node has opened another one to this process.
      def succeeded_by(link)
        @successor = link
        hang_up
      end

      # The link that is in use now: this one, or one that came after it.
      def current
        @successor ? @successor.current : self
      end

      # Whether something has come that has not been read.
      def waiting?
        @framing.waiting?
      end

      # Whether catenary sends no further calls.
      def stop_acknowledged?
        @stop_acknowledged || closed?
      end

      # Whether nothing is heard for catenary any more that others do not hear for it.
      def moved?
        closed? || !@listening.any? || (@moved && @listening.quiet?)
      end

      def closed?
        @framing.closed?
      end

      def hang_up
        @framing.hang_up
      end

      # Nothing more is written; catenary closes it.
      def say_bye
        write({ bye: true })
        @framing.end_writing
      end

      # By the thread that has read its end.
      def close
        @framing.close
        @listening.close
        @mutex.synchronize { @synced.broadcast }
      end

      def forget
        @framing.forget
      end

      private
        # A recorded upgrade is worth nothing: only who has the secret knows this.
        def greet
          proof, @proof = @proof, nil
          given = parse(@framing.read(@proof_seconds))&.fetch("proof", nil)
          if given.is_a?(String) && same?(given, proof)
            write({ hello: @hello.call })
            @endpoint.links.greeted self
            return true
          end

          broken(given ? "the proof of #{@node} is wrong" : "#{@node} has not proved within #{@proof_seconds} s that it has the secret")
        rescue Framing::Broken => error
          broken error.message
        end

        def same?(given, expected)
          given.bytesize == expected.bytesize && OpenSSL.fixed_length_secure_compare(given, expected)
        end

        # Reads one frame. Returns the call if it is one. deadline: nil to wait for ever.
        def read_call(seconds = nil)
          message = parse(@framing.read(seconds)) or return
          if number = message["call"] then Call.new(@endpoint, message, @env, self, number)
          elsif number = message["synced"] then synced(number)
          elsif number = message["ping"] then write({ pong: number }) && nil
          elsif message["heard"] then (@stop_acknowledged = true) && nil
          elsif message["moved"] then (@moved = true) && nil
          else                        broadcasts(message)
          end
        rescue Framing::Broken => error
          broken error.message
        end

        # Returns nil.
        def broadcasts(message)
          if streams = message["listen"]     then @listening.listen(streams)
          elsif streams = message["unlisten"] then @listening.unlisten(streams)
          elsif stream = message["publish"]  then @listening.publish(stream, message["message"].to_s, message["number"])
          end
          nil
        end

        def parse(text)
          return unless text
          message = JSON.parse(text)
          message.is_a?(Hash) ? message : raise(Framing::Broken, "a frame that is no object")
        rescue JSON::ParserError
          raise Framing::Broken, "a frame that is no JSON"
        end

        # Returns nil.
        def broken(problem)
          ::Rails.logger&.error "[catenary] the link to #{@node} is closed: #{problem}"
          hang_up
          nil
        end

        def synced(number)
          @mutex.synchronize { @synced.broadcast if @awaited.delete(number) }
          nil
        end

        def pump(number, deadline)
          while @awaited.key?(number) && !closed? && (rest = deadline - now) > 0
            call = read_call(rest)
            @endpoint.workers.queue(self, call) if call
          end
        end

        def await(number, deadline)
          @mutex.synchronize do
            while @awaited.key?(number) && !closed? && (rest = deadline - now) > 0
              @synced.wait(@mutex, rest)
            end
          end
        end
    end
  end
end
