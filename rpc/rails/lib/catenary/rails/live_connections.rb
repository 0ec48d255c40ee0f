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

        # Returns those that are too old by now, and those that are too many.
        def put(live, now)
          live.used_at = now
          @entries[live.name] = live
          old = now - @swept > SWEEP ? sweep(now) : []
          [old, Array.new([@entries.size - @limit, 0].max) { @entries.shift.last }]
        end

        private
          def sweep(now)
            @swept = now
            old = []
            old << @entries.shift.last while @entries.any? && @entries.each_value.first.used_at < now - @seconds
            old
          end
      end

      # last_words: is called with those that are not kept any longer.
      def initialize(config, &last_words)
        @config, @last_words = config, last_words
        @mutex, @released = Mutex.new, ConditionVariable.new
        @generation = 0
        empty
      end

      # The objects of that version, or of any if none is named, which are the caller's until it keeps them again; nil if they
      # are not here.
      def take(name, version)
        @mutex.synchronize do
          live = @acting.entries.delete(name) || @pinned.entries.delete(name) || @plain.entries.delete(name)
          next unless live && (version.nil? || live.version == version)
          @released.wait(@mutex) while live.held
          live.settled = false
          live
        end
      end

      # For objects that are about to be built; what was built before the last clear is not kept.
      def generation
        @mutex.synchronize { @generation }
      end

      # Returns whether it is kept.
      def keep(live)
        now = Clock.now
        kept = false
        thrown_out = @mutex.synchronize do
          next [] if live.generation != @generation
          shelf = shelf_for(live)
          old, excess = shelf.put(live, now)
          warn_of_eviction if excess.any? && live.pinned?
          kept = shelf.entries.key?(live.name)
          old + excess
        end
        thrown_out.each(&@last_words)
        kept
      end

      # Its call is over, but for its end, which is being told under the lock of its Ops.
      def settle(live)
        live.settled = true
      end

      # Yields it unless a call is running for it. None begins meanwhile.
      def hold(live)
        held = @mutex.synchronize { live.held = true if live.settled && !live.held }
        yield live if held
      ensure
        @mutex.synchronize { live.held = false; @released.broadcast } if held
      end

      # Those whose last call came over that link.
      def of(link)
        @mutex.synchronize { all }.select { |live| live.link&.current.equal?(link) }
      end

      # Before the application's classes are unloaded.
      def clear
        thrown_out = @mutex.synchronize do
          @generation += 1
          all.tap { empty }
        end
        thrown_out.each(&@last_words)
      end

      def size
        @mutex.synchronize { shelves.sum { |shelf| shelf.entries.size } }
      end

      private
        def all
          shelves.flat_map { |shelf| shelf.entries.values }
        end

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
