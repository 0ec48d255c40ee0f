module Catenary
  module Rails
    class Audit
      # Settings of the application's: the adapter, the worker pool, what is reset when a Rails process boots.
      class SettingsCheck < Check
        CABLE = "config/cable.yml"
        BOOT = %w[
          on_worker_boot before_worker_boot on_booted after_booted before_fork on_restart before_restart on_worker_fork
          on_worker_shutdown before_worker_shutdown after_worker_shutdown
        ].freeze
        RESETS = %w[update_all delete_all destroy_all flushdb flushall delete_matched].freeze
        REDIS_RESETS = %w[del unlink hdel hset set srem].freeze

        def look
          adapters
          calls("worker_pool_size=") { |call| worker_pool call }
          subject.nodes.each { |node| worker_pool node if node.type == :assign && node[:target]&.name == "worker_pool_size" }
          subject.nodes.each { |node| notifications node if node.type == :string && node.name == "transmit.action_cable" }
          boot_files.each { |file| resets file }
        end

        private
          def worker_pool(node)
            found "worker pool", node, "plain", "worker_pool_size",
              "commands run on as many threads of the gem's own in each Rails process, unless config.catenary.workers says another number"
          end

          def notifications(node)
            found "notifications", node, "plain", node.name, "reports what channels transmit, and no broadcast that reaches browsers without Ruby",
              "change: catenary's metrics count those"
          end

          def boot_files
            Dir.glob("{config.ru,config/{puma,application,environment}.rb,config/{environments,initializers}/**/*.rb}", base: root)
          end

          def resets(file)
            tree = subject.sources.read("#{root}/#{file}") or return
            tree.select { |node| resets?(node) && (file != "config/puma.rb" || node.around.any? { |outer| outer.given_to?(*BOOT) }) }.each do |call|
              found "boot", call, "plain", call.to_s,
                "runs when a Rails process boots, and browsers stay connected then: if it resets who is present, they are missing from there on",
                "change: let entries expire, or backend.restart: reconnect, with which browsers come back as natively"
            end
          end

          def resets?(node)
            node.call? && (RESETS.include?(node.name) && node.receiver || REDIS_RESETS.include?(node.name) && node.receiver.to_s.match?(/redis/i))
          end

          # That of production, and the one that is in use here.
          def adapters
            sections = cable_yml
            production = sections["production"]
            adapter "production", sections.fetch("shared", {}).to_h.merge(production), true if production.is_a?(Hash)
            here = ActionCable.server.config.cable
            adapter ::Rails.env, here, ::Rails.env.production? unless here.nil? || production.is_a?(Hash) && ::Rails.env.production?
          end

          def cable_yml
            sections = ActiveSupport::ConfigurationFile.parse(cable_file) if File.exist?(cable_file)
            sections.is_a?(Hash) ? sections : {}
          end

          def adapter(environment, settings, counts)
            name = settings.with_indifferent_access.fetch(:adapter, "redis").to_s
            say = lambda do |means, advice = NOTHING, runs = "plain"|
              found "cable.yml", place(name), runs, "adapter: #{name}", "in #{environment} #{means}", advice
            end
            type = class_of(settings)
            case name
            when "any_cable" then say.("catenary receives no broadcast: AnyCable's adapter publishes for another server", "change: adapter: redis", counts ? "cannot work" : "plain")
            when "async", "inline", "test"
              say.("a broadcast stays in the Rails process that makes it, as natively: none from jobs, consoles and other processes", "change: adapter: redis") if counts
            else
              if type.is_a?(Exception) then say.("the adapter cannot be loaded here: #{type.message.lines.first.to_s.strip}", "change: add its gem, unless that is in another group of the Gemfile")
              elsif deaf?(type) then say.("catenary receives no broadcast: #{type} has no subscribe", "change: adapter: redis", counts ? "cannot work" : "plain")
              elsif name != "redis" then say.("Rails listens for catenary through this adapter, in one process for each stream, which needs links (backend.transport: auto)")
              end
            end
          end

          def class_of(settings)
            ActionCable.server.config.dup.tap { |config| config.cable = settings.with_indifferent_access }.pubsub_adapter
          rescue StandardError, ScriptError => error
            error
          end

          # Whether it has only what Rails' base class raises for.
          def deaf?(type)
            !type.method_defined?(:subscribe) || type.instance_method(:subscribe).owner == ActionCable::SubscriptionAdapter::Base
          end

          def place(adapter)
            lines = File.exist?(cable_file) ? File.readlines(cable_file) : []
            [cable_file, (lines.index { |line| line.match?(/^\s*adapter:.*\b#{Regexp.escape(adapter)}\b/) } || 0) + 1]
          end

          def root
            subject.sources.root
          end

          def cable_file
            "#{root}/#{CABLE}"
          end
      end
    end
  end
end
