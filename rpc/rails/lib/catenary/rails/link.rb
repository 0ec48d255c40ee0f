# frozen_string_literal: true

require "openssl"

module Catenary
  module Rails
    # One standing connection of a catenary node into this process (docs/rpc.md, "The link").
    class Link
      include Clock

      PROOF_SECONDS = 5 # for catenary's first frame
      TOGETHER = 4      # results of quick calls that leave in one write

      attr_reader :node, :env, :listening
      # Guarded by Workers: the worker that has the reading role; whether it is reading, and not
      # running a call; how often it has read, now and at the last tick; calls that have not ended.
      attr_accessor :reader, :reading, :reads, :last_reads, :pending

      # env: of the upgrade. proof: what catenary's first frame must contain. hello: a block that
      # returns the content of ours.
      def initialize(endpoint, framing, node, env, proof:, proof_seconds: PROOF_SECONDS, &hello)
        @endpoint, @framing, @node, @env = endpoint, framing, node, env
        @proof, @proof_seconds, @hello = proof, proof_seconds, hello
        @reading, @reads, @last_reads, @pending = true, 0, 0, 0
        @mutex, @acknowledged = Mutex.new, ConditionVariable.new
        @syncs, @unacknowledged = 0, {} # syncs sent; numbers of those without an answer
        @stop_acknowledged, @broadcasts_moved, @replacement = false, false, nil
        @listening = Listening.new(self)
      end

      # Returns the next call; nil when the link is closed. Handles all other messages itself.
      def read
        return if @proof && !authenticate
        call = nil
        nil until (call = read_call) || closed?
        call
      end

      # hold: waits until the next message is written, or until flush. Returns whether the message
      # was written.
      def write(message, hold: false)
        text = JSON.generate(message)
        return @framing.write(text, hold: hold) if text.bytesize <= Framing::LIMIT
        ::Rails.logger&.error "[catenary] did not send a #{message.keys.first} message: " \
          "it has #{text.bytesize} bytes, more than #{Framing::LIMIT}"
        false
      end

      # Writes the result of a call. If more calls have arrived and are about to run, holds it until the
      # next write or tick: all of them, or up to TOGETHER if calls are quick. Raises ArgumentError for a
      # result that is too long.
      def finish(number, result, all: false)
        text = JSON.generate(result)
        text.bytesize <= Framing::LIMIT or raise ArgumentError, "the result has #{text.bytesize} bytes, more than #{Framing::LIMIT}"
        @framing.write(text, hold: @framing.buffered? && (all || (@framing.held < TOGETHER - 1 && reads_next?)))
      end

      # Whether messages are held, or are being written.
      def holding?
        @framing.held > 0 && !closed?
      end

      # Writes the messages that are held.
      def flush
        @framing.flush
      end

      # Waits until catenary has applied the connection's effects written so far, at most until the
      # deadline. A worker that has the reading role, or finds it unused, reads meanwhile.
      def sync(connection, deadline)
        number = @mutex.synchronize do
          @syncs += 1
          @unacknowledged[@syncs] = true
          @syncs
        end
        return unless write({ sync: number, conn: connection })

        if @endpoint.workers.borrow_role(self)
          begin
            read_until_acknowledged(number, deadline)
          ensure
            @endpoint.workers.return_role(self)
          end
        else
          wait_until_acknowledged(number, deadline)
        end
      ensure
        @mutex.synchronize { @unacknowledged.delete(number) } if number
      end

      # The node has opened another link to this process.
      def replaced_by(link)
        @replacement = link
        hang_up
      end

      # The link that is in use now: this one, or one that has replaced it.
      def current
        @replacement ? @replacement.current : self
      end

      # Whether there is something to read.
      def readable?
        @framing.readable?
      end

      # Whether catenary sends no more calls.
      def stop_acknowledged?
        @stop_acknowledged || closed?
      end

      # Whether catenary needs no more broadcasts from this process.
      def broadcasts_moved?
        closed? || !@listening.any? || (@broadcasts_moved && @listening.idle?)
      end

      def closed?
        @framing.closed?
      end

      def hang_up
        @framing.hang_up
      end

      # The last message. catenary then closes the link.
      def send_bye
        write({ bye: true })
        @framing.close_write
      end

      # Only for the thread that reads.
      def close
        @framing.close
        @listening.close
        @mutex.synchronize { @acknowledged.broadcast }
      end

      # In a forked child.
      def abandon
        @framing.abandon
      end

      private
        # Checks catenary's proof that it has the secret, because an upgrade could be replayed.
        # Returns true, or nil.
        def authenticate
          expected, @proof = @proof, nil
          given = parse(@framing.read(@proof_seconds))&.fetch("proof", nil)
          if given.is_a?(String) && same?(given, expected)
            write({ hello: @hello.call })
            @endpoint.links.opened self
            return true
          end

          reject(given ? "#{@node} sent a wrong proof" : "#{@node} did not prove within #{@proof_seconds} s that it has the secret")
        rescue Framing::Invalid => error
          reject error.message
        end

        def same?(given, expected)
          given.bytesize == expected.bytesize && OpenSSL.fixed_length_secure_compare(given, expected)
        end

        # Whether this thread reads the next call when it has ended this one, and calls are quick.
        def reads_next?
          @endpoint.workers.quick? && @reader.equal?(Workers.current)
        end

        # Reads one frame. Returns the call if it is one. seconds: nil to wait forever.
        def read_call(seconds = nil)
          message = parse(@framing.read(seconds)) or return
          number = message["call"]
          return Call.new(@endpoint, message, @env, self, number) if number
          handle message
          nil
        rescue Framing::Invalid => error
          reject error.message
        end

        def handle(message)
          if message["synced"]      then acknowledge(message["synced"])
          elsif message["ping"]     then write({ pong: message["ping"] })
          elsif message["heard"]    then @stop_acknowledged = true
          elsif message["moved"]    then @broadcasts_moved = true
          elsif message["listen"]   then @listening.listen(message["listen"])
          elsif message["unlisten"] then @listening.unlisten(message["unlisten"])
          elsif message["publish"]  then @listening.publish(message["publish"], message["message"].to_s, message["number"])
          end
        end

        def parse(text)
          return unless text
          message = JSON.parse(text)
          message.is_a?(Hash) ? message : raise(Framing::Invalid, "a frame is not a JSON object")
        rescue JSON::ParserError
          raise Framing::Invalid, "a frame is not valid JSON"
        end

        # Returns nil.
        def reject(problem)
          ::Rails.logger&.error "[catenary] closed the link to #{@node}: #{problem}"
          hang_up
          nil
        end

        def acknowledge(number)
          @mutex.synchronize { @acknowledged.broadcast if @unacknowledged.delete(number) }
        end

        def read_until_acknowledged(number, deadline)
          while @unacknowledged.key?(number) && !closed? && (remaining = deadline - now) > 0
            call = read_call(remaining)
            @endpoint.workers.enqueue(self, call) if call
          end
        end

        def wait_until_acknowledged(number, deadline)
          @mutex.synchronize do
            while @unacknowledged.key?(number) && !closed? && (remaining = deadline - now) > 0
              @acknowledged.wait(@mutex, remaining)
            end
          end
        end
    end
  end
end
