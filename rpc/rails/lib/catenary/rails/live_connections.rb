module Catenary
  module Rails
    # The objects of the connections that were used last, so that a command need not rebuild them. Those that act have a shelf of
    # their own, from which the many that only listen do not push them. Those with blocks, which cannot be rebuilt, are kept
    # until their connection closes; their bounds are against a catenary that vanished.
    class LiveConnections
      ACTING = 4 # times as many as of those that only listen

      class Shelf
        SWEEP = 1 # seconds between two looks for those that are kept no longer

        attr_reader :entries # by name, the least recently used first

        def initialize(limit, seconds)
          @limit, @seconds = limit, seconds
          @entries = {}
          @swept = 0
        end

        # Returns how many were thrown out because there are too many.
        def put(live, now)
          live.used_at = now
          @entries[live.name] = live
          sweep now if now - @swept > SWEEP
          excess = [@entries.size - @limit, 0].max
          excess.times { @entries.shift }
          excess
        end

        private
          def sweep(now)
            @swept = now
            @entries.shift while @entries.any? && @entries.each_value.first.used_at < now - @seconds
          end
      end

      def initialize(config)
        @config = config
        @mutex = Mutex.new
        @generation = 0
        empty
      end

      # The objects of that version, or of any if none is named, which are the caller's until it keeps them again; nil if they
      # are not here.
      def take(name, version)
        @mutex.synchronize do
          live = @acting.entries.delete(name) || @pinned.entries.delete(name) || @plain.entries.delete(name)
          live if live && (version.nil? || live.version == version)
        end
      end

      # For objects that are about to be built; what was built before the last clear is not kept.
      def generation
        @mutex.synchronize { @generation }
      end

      # Returns whether it is kept.
      def keep(live)
        now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
        @mutex.synchronize do
          next if live.generation != @generation
          shelf = shelf_for(live)
          warn_of_eviction if shelf.put(live, now) > 0 && live.pinned?
          shelf.entries.key?(live.name)
        end
      end

      # Yields one after the other those whose last call came over that link, and for which none is running; none can begin
      # meanwhile.
      def each_of(link)
        names = @mutex.synchronize { shelves.flat_map { |shelf| shelf.entries.keys } }
        names.each do |name|
          @mutex.synchronize do
            live = shelves.lazy.filter_map { |shelf| shelf.entries[name] }.first
            yield live if live&.link&.current.equal?(link)
          end
        end
      end

      # Before the application's classes are unloaded.
      def clear
        @mutex.synchronize do
          @generation += 1
          empty
        end
      end

      def size
        @mutex.synchronize { shelves.sum { |shelf| shelf.entries.size } }
      end

      private
        def shelves
          [@plain, @acting, @pinned]
        end

        def shelf_for(live)
          return @pinned if live.pinned?
          live.acting? ? @acting : @plain
        end

        def warn_of_eviction
          ::Rails.logger&.warn "[catenary] more than #{@config.pinned_limit} connections have streams with a block: " \
            "the one unused for longest will have to reconnect (config.catenary.pinned_limit)"
        end

        def empty
          @plain = Shelf.new(@config.live_limit, @config.live_seconds)
          @acting = Shelf.new(@config.live_limit * ACTING, @config.live_seconds)
          @pinned = Shelf.new(@config.pinned_limit, @config.pinned_seconds)
        end
    end
  end
end
