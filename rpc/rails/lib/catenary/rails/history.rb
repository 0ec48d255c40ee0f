require "digest"
require "securerandom"

module Catenary
  module Rails
    # Numbers the broadcasts of streams that have a history, and keeps them in Redis for catenary
    # (docs/history.md). One script publishes and keeps, so that the numbers are in the order of the
    # broadcasts. The number follows the payload as whitespace: for every other subscriber the
    # payload is the same JSON.
    class History
      DEFAULTS = { limit: 100, ttl: 300 }

      # pattern: as the application writes it; streams: the Regexp that it stands for.
      Rule = Struct.new(:pattern, :streams, :limit, :ttl)

      # KEYS: the kept broadcasts, the head. ARGV: topic, payload, limit, ttl in seconds, a new epoch.
      # A restart or a failover of Redis begins a new epoch, because it may lose broadcasts; began is
      # the second of the first broadcast after it. Each has a new master_replid; run_id would not do,
      # because a master that was replaced may become master again. cable/history reads the keys and
      # the number.
      SCRIPT = <<~'LUA'
        local server = string.match(redis.call("INFO", "replication"), "master_replid:(%w+)")
        if not server then
          return redis.error_reply("ERR this server has no master_replid")
        end
        local head = redis.call("HMGET", KEYS[2], "epoch", "offset", "server")
        local epoch, offset = head[1], tonumber(head[2])
        local now = redis.call("TIME")[1]
        if not epoch or head[3] ~= server then
          redis.call("DEL", KEYS[1])
          if epoch then
            redis.call("HSET", KEYS[2], "began", now)
          end
          epoch, offset = ARGV[5], 0
        end
        offset = offset + 1
        redis.call("HSET", KEYS[2], "epoch", epoch, "offset", offset, "server", server)
        redis.call("XADD", KEYS[1], "MAXLEN", ARGV[3], offset .. "-0", "p", ARGV[2], "t", now)
        redis.call("EXPIRE", KEYS[1], ARGV[4])
        redis.call("EXPIRE", KEYS[2], ARGV[4])
        local digits = { [0] = " ", "\t", "\n", "\r" }
        local number = string.gsub(epoch .. string.format("%016x", offset), "%x", function(hex)
          local value = tonumber(hex, 16)
          return digits[math.floor(value / 4)] .. digits[value % 4]
        end)
        return redis.call("PUBLISH", ARGV[1], ARGV[2] .. "\t \t \n\r\n\r" .. number)
      LUA
      SHA = Digest::SHA1.hexdigest(SCRIPT)

      # What Redis answers to a command. redis-client, also within the redis gem 5, takes the
      # latter two for connection errors.
      REFUSALS = %w[Redis::CommandError RedisClient::CommandError]
      REFUSAL = /\b(READONLY|MASTERDOWN) /

      class << self
        def extend_adapter(adapter)
          history = new(::Rails.application)
          adapter.extend(Broadcasting).catenary_history = history if history.any? && redis?(adapter.class)
        end

        # Only Rails' redis adapter can keep a history. Compares names, because the constant would load
        # the redis gem, which an application with another adapter may not have.
        def redis?(adapter)
          named?(adapter, "ActionCable::SubscriptionAdapter::Redis")
        end

        # Whether Redis has refused a command. In that state PUBLISH may still work.
        def refused?(error)
          REFUSALS.any? { |name| named?(error.class, name) } || REFUSAL.match?(error.message)
        end

        private
          def named?(descendant, name)
            descendant.ancestors.any? { |ancestor| ancestor.name == name }
          end
      end

      # Extends Rails' redis adapter.
      module Broadcasting
        attr_accessor :catenary_history

        def broadcast(channel, payload)
          return super unless rule = catenary_history.rule(channel)
          topic = respond_to?(:channel_with_prefix, true) ? send(:channel_with_prefix, channel) : channel
          catenary_history.publish(send(:redis_connection_for_broadcasts), topic, payload, rule) { super }
        end
      end

      # Reads config.catenary.history: a limit and a ttl by pattern, in which * stands for any text.
      def initialize(app)
        @rules = app.config.catenary.history.to_h.map do |pattern, settings|
          settings = DEFAULTS.merge(settings.to_h)
          parts = pattern.to_s.split("*", -1).map { |part| Regexp.escape(part) }
          Rule.new(pattern.to_s, /\A#{parts.join(".*")}\z/m, positive(settings[:limit]), positive(settings[:ttl]))
        end
        @refusals = ThrottledLog.new { |count| "config.catenary.history: #{count} broadcasts were published but not kept: #{@refusal}" }
      end

      def any?
        @rules.any?
      end

      # The first rule that matches the stream; nil: it has no history.
      def rule(stream)
        @rules.find { |rule| rule.streams.match?(stream) }
      end

      # For catenary (docs/rpc.md, "Settings"); nil if no stream has a history.
      def to_h
        return unless any?
        return { problem: "the adapter in config/cable.yml is not redis" } unless History.redis?(ActionCable.server.config.pubsub_adapter)
        { streams: @rules.map { |rule| { pattern: rule.pattern, limit: rule.limit, ttl: rule.ttl } } }
      end

      # If Redis refuses to run the script, the block publishes without a number.
      def publish(redis, topic, payload, rule)
        key = "{_catenary:history:#{topic}}"
        run redis, [key, "#{key}:head"], [topic, payload, rule.limit, rule.ttl, SecureRandom.hex(8)]
      rescue StandardError => error
        raise unless History.refused?(error)
        @refusal = error.message.sub(/, with args .*/m, "") # which are the payload
        @refusals.add
        yield
      end

      private
        def run(redis, keys, arguments)
          evaluate redis, :evalsha, SHA, keys, arguments
        rescue StandardError => error
          raise unless error.message.start_with?("NOSCRIPT")
          evaluate redis, :eval, SCRIPT, keys, arguments
        end

        # As of Rails 8.2, redis is a pool of redis-client, which has no methods for commands.
        def evaluate(redis, command, script, keys, arguments)
          if redis.respond_to?(:evalsha)
            redis.public_send command, script, keys: keys, argv: arguments
          else
            redis.call command.to_s, script, keys.size, *keys, *arguments
          end
        end

        def positive(number)
          number.to_i > 0 ? number.to_i : raise(ArgumentError, "config.catenary.history needs a limit and a ttl above zero, not #{number.inspect}")
        end
    end
  end
end
