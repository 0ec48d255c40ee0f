module Catenary
  module Rails
    # The nonces of the calls that were accepted lately, so that a recorded call cannot be repeated. One that is too old for
    # the signature's window anyway is forgotten. Each process has its own.
    class Nonces
      include Clock

      # In one generation; far more than one process can answer in its time, reached only if the clock stands still.
      LIMIT = 500_000

      # window: seconds for which a nonce must be remembered.
      def initialize(window)
        @window = window
        @mutex = Mutex.new
        @current, @previous, @started = {}, {}, now
      end

      # Remembers the nonce; false if it was known.
      def add?(nonce)
        key = nonce[0, 15].hex # 60 bits: an Integer without an object
        @mutex.synchronize do
          turn if now - @started > @window || @current.size >= LIMIT
          !@current.key?(key) && !@previous.key?(key) && (@current[key] = true)
        end
      end

      private
        def turn
          @previous = now - @started > 2 * @window ? {} : @current
          @current, @started = {}, now
        end
    end
  end
end
