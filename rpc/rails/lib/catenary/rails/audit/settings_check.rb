module Catenary
  module Rails
    module Audit
      # What settings make of Action Cable: the adapter, the worker pool, who counts messages.
      class SettingsCheck < Check
        CABLE = "config/cable.yml"
        LOCAL = %w[async inline test].freeze # these broadcast in one process

        def look
          each do |node|
            found :worker_pool, node, "worker_pool_size" if node.type == :assign && node[:target]&.name == "worker_pool_size"
            found :notifications, node, node.name if node.type == :string && node.name == "transmit.action_cable"
          end
          adapters
        end

        private
          # That of production, and the one that is in use here.
          def adapters
            sections = File.exist?(file) ? ActiveSupport::ConfigurationFile.parse(file) : nil
            sections = {} unless sections.is_a?(Hash)
            production = sections["shared"].to_h.merge(sections["production"].to_h) if sections["production"]
            here = ActionCable.server.config.cable
            adapter "production", production if production
            adapter ::Rails.env, here if here && name_of(here) != name_of(production)
          end

          def adapter(environment, settings)
            name = name_of(settings)
            type = class_of(settings)
            if name == "any_cable" then deaf environment, name, "AnyCable's adapter publishes for another server"
            elsif LOCAL.include?(name) then report :adapter_local, environment, name if environment == "production"
            elsif type.is_a?(Exception) then report :adapter_missing, environment, name, error: Finding.first_line(type)
            elsif !hears?(type) then deaf environment, name, "#{type} has no subscribe"
            elsif name != "redis" then report :adapter, environment, name
            end
          end

          # Who develops without it has time.
          def deaf(environment, name, reason)
            report :adapter_deaf, environment, name, reason: reason
            findings.last.runs = "plain" unless environment == "production"
          end

          def report(key, environment, name, **values)
            lines = File.exist?(file) ? File.readlines(file) : []
            index = lines.index { |line| line.match?(/^\s*adapter:.*\b#{Regexp.escape(name)}\b/) }
            found key, [file, (index || 0) + 1], "adapter: #{name}", environment: environment, **values
          end

          # nil of no settings.
          def name_of(settings)
            settings&.with_indifferent_access&.fetch(:adapter, "redis").to_s
          end

          # As Rails loads it, or why it does not.
          def class_of(settings)
            ActionCable.server.config.dup.tap { |config| config.cable = settings.with_indifferent_access }.pubsub_adapter
          rescue StandardError, ScriptError => error
            error
          end

          # Or it has only what Rails' base class raises for.
          def hears?(type)
            type.method_defined?(:subscribe) && type.instance_method(:subscribe).owner != ActionCable::SubscriptionAdapter::Base
          end

          def file
            "#{subject.sources.root}/#{CABLE}"
          end
      end

      # What is reset when a Rails process boots, though browsers stay connected then.
      class BootCheck < Check
        FILES = "{config.ru,config/{puma,application,environment}.rb,config/{environments,initializers}/**/*.rb}"

        # Blocks whose code runs then.
        BLOCKS = %w[
          on_worker_boot before_worker_boot on_booted after_booted before_fork on_restart before_restart on_worker_fork
          after_initialize before_initialize to_prepare configure on_load initializer tap with then each
        ].freeze
        RESETS = %w[update_all delete_all destroy_all flushdb flushall delete_matched].freeze
        REDIS = %w[del unlink hdel hset set srem].freeze
        OWN = /reset|clear|disconnect|offline|absent|flush|purge|delete|destroy/ # of the application's classes

        def look
          Dir.glob(FILES, base: subject.sources.root).each do |file|
            tree = subject.sources.read("#{subject.sources.root}/#{file}") or next
            tree.select { |node| node.call? && node.receiver && resets?(node) && at_boot?(node) }.each do |call|
              found :boot, call, call.to_s
            end
          end
        end

        private
          def resets?(call)
            RESETS.include?(call.name) || REDIS.include?(call.name) && call.receiver.to_s.match?(/redis/i) ||
              call.name.match?(OWN) && call.root.const? && subject.sources.lookup(call.root.name, "").any?
          end

          def at_boot?(call)
            call.around.none? { |node| %i[def lambda].include?(node.type) || node.type == :block && !node.given_to?(*BLOCKS) }
          end
      end
    end
  end
end
