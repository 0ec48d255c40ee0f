module Catenary
  module Rails
    # Remembers the nonces of recent calls, so that a recorded call cannot be replayed. Forgets
    # those that are too old for the signature's window. Each process has its own.
    class Nonces
      include Clock

      # Nonces of one generation. A process cannot answer nearly as many calls within the window.
      LIMIT = 500_000

      # window: seconds for which a nonce is remembered.
      def initialize(window)
        @window = window
        @mutex = Mutex.new
        @current, @previous, @started = {}, {}, now
      end

      # Remembers the nonce. Returns false if it was known.
      def add?(nonce)
        key = nonce[0, 15].hex # 60 bits: an Integer that needs no allocation
        @mutex.synchronize do
          rotate if now - @started > @window || @current.size >= LIMIT
          !@current.key?(key) && !@previous.key?(key) && (@current[key] = true)
        end
      end

      private
        def rotate
          @previous = now - @started > 2 * @window ? {} : @current
          @current, @started = {}, now
        end
    end
  end
end
