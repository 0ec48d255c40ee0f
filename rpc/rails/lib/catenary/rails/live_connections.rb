module Catenary
  module Rails
    # Keeps the objects of recently used connections, so that a command need not rebuild them.
    # Connections that act are kept apart from the many that only listen, which would push them out.
    # Connections with blocks cannot be rebuilt and stay until they close; their limits only protect
    # against a catenary that has vanished.
    class LiveConnections
      ACTING = 4 # times as many as of those that only listen

      # Least recently used connections are evicted, by number and by age.
      class Cache
        SWEEP = 1 # seconds between two evictions by age
        NONE = [].freeze

        attr_reader :entries # by name, the least recently used first

        def initialize(limit, seconds)
          @limit, @seconds = limit, seconds
          @entries = {}
          @swept = 0
        end

        # Returns the connections evicted by age, and those evicted by number.
        def put(live, now)
          live.used_at = now
          @entries[live.name] = live
          old = now - @swept > SWEEP ? sweep(now) : NONE
          excess = @entries.size > @limit ? Array.new(@entries.size - @limit) { @entries.shift.last } : NONE
          [old, excess]
        end

        private
          def sweep(now)
            @swept = now
            old = []
            old << @entries.shift.last while @entries.any? && @entries.each_value.first.used_at < now - @seconds
            old
          end
      end

      # config: config.catenary. The block is called with each evicted connection.
      def initialize(config, &on_evict)
        @config, @on_evict = config, on_evict
        @mutex, @unlocked = Mutex.new, ConditionVariable.new
        @generation = 0
        reset
      end

      # Takes the objects out, until keep puts them back. Returns nil if they are not here, or are
      # not of that version. version: nil for any.
      def take(name, version)
        @mutex.synchronize do
          live = @acting.entries.delete(name) || @pinned.entries.delete(name) || @plain.entries.delete(name)
          next unless live && (version.nil? || live.version == version)
          @unlocked.wait(@mutex) while live.locked
          live.idle = false
          live
        end
      end

      # The generation for objects that are about to be built. keep rejects those of a generation
      # before the last clear.
      def generation
        @mutex.synchronize { @generation }
      end

      # Returns whether the connection was kept.
      def keep(live)
        now = Clock.now
        kept = false
        evicted = @mutex.synchronize do
          next Cache::NONE if live.generation != @generation
          cache = cache_for(live)
          old, excess = cache.put(live, now)
          warn_of_eviction if excess.any? && live.pinned?
          kept = excess.empty? || !excess.include?(live)
          old + excess
        end
        evicted.each(&@on_evict)
        kept
      end

      # The connection's call has ended. Its result is being written, under the lock of its Effects.
      def mark_idle(live)
        live.idle = true
      end

      # Yields the connection unless a call is running for it, or another thread has locked it. No call
      # begins meanwhile. wait: waits for the other thread.
      def lock_idle(live, wait: false)
        locked = @mutex.synchronize do
          @unlocked.wait(@mutex) while wait && live.locked
          live.locked = true if live.idle && !live.locked
        end
        yield live if locked
      ensure
        if locked
          @mutex.synchronize do
            live.locked = false
            @unlocked.broadcast
          end
        end
      end

      # The connections whose last call came over that link.
      def of_link(link)
        @mutex.synchronize { all }.select { |live| live.link&.current.equal?(link) }
      end

      # Evicts all, before the application's classes are unloaded.
      def clear
        evicted = @mutex.synchronize do
          @generation += 1
          all.tap { reset }
        end
        evicted.each(&@on_evict)
      end

      def size
        @mutex.synchronize { caches.sum { |cache| cache.entries.size } }
      end

      private
        def all
          caches.flat_map { |cache| cache.entries.values }
        end

        def caches
          [@plain, @acting, @pinned]
        end

        def cache_for(live)
          return @pinned if live.pinned?
          live.acting? ? @acting : @plain
        end

        def warn_of_eviction
          ::Rails.logger&.warn "[catenary] more than #{@config.pinned_limit} connections have streams with a block: " \
            "the least recently used one will have to reconnect (config.catenary.pinned_limit)"
        end

        def reset
          @plain = Cache.new(@config.live_limit, @config.live_seconds)
          @acting = Cache.new(@config.live_limit * ACTING, @config.live_seconds)
          @pinned = Cache.new(@config.pinned_limit, @config.pinned_seconds)
        end
    end
  end
end
