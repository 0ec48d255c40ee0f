require "catenary/rails/channel_streams"
require "catenary/rails/turbo_streams"
require "catenary/rails/audit/node"
require "catenary/rails/audit/syntax"
require "catenary/rails/audit/sources"
require "catenary/rails/audit/catalogue"
require "catenary/rails/audit/finding"
require "catenary/rails/audit/check"
require "catenary/rails/audit/values"
require "catenary/rails/audit/time_check"
require "catenary/rails/audit/stream_check"
require "catenary/rails/audit/hook_check"
require "catenary/rails/audit/state_check"
require "catenary/rails/audit/reach_check"
require "catenary/rails/audit/turbo_check"
require "catenary/rails/audit/habit_check"
require "catenary/rails/audit/settings_check"
require "catenary/rails/audit/subject"
require "catenary/rails/audit/application"
require "catenary/rails/audit/report"

module Catenary
  module Rails
    # Reports what each channel and connection runs as behind catenary. It asks Ruby which classes, methods and timers there
    # are, and reads the bodies of methods with Ruby's own parser. It loads channels and connections, and needs no database.
    #
    # `catenary audit` feeds these files to `bin/rails runner` of applications that need not have the gem, so they use
    # nothing of it but what is required here.
    module Audit
      CONNECTION_CHECKS = [TimeCheck, StreamCheck, HookCheck, StateCheck, ClassStateCheck, ReachCheck, HabitCheck].freeze
      CHANNEL_CHECKS = [*CONNECTION_CHECKS, GraphqlCheck, TurboCheck].freeze
      ELSEWHERE_CHECKS = [StreamCheck, GraphqlCheck, HookCheck, ReachCheck, SettingsCheck, BootCheck].freeze

      # Returns the text of the report, and whether something cannot work as it stands.
      def self.run(json: false)
        abort %(The application does not load Action Cable: require "action_cable/engine") unless defined?(::ActionCable)
        application = Application.new(::Rails.root.to_s)
        application.channels.each { |channel| channel.audit CHANNEL_CHECKS }
        application.connections.each { |connection| connection.audit CONNECTION_CHECKS }
        elsewhere = application.elsewhere.audit(ELSEWHERE_CHECKS) + application.failures
        report = Report.new(channels: application.channels, connections: application.connections,
          elsewhere: elsewhere.uniq(&:place), passed: application.passed_through, sources: application.sources)
        [json ? "#{report.to_json}\n" : report.to_s, report.fails?]
      end
    end
  end
end
