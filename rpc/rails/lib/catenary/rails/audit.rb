require "catenary/rails/channel_streams"
require "catenary/rails/turbo_streams"
require "catenary/rails/audit/node"
require "catenary/rails/audit/syntax"
require "catenary/rails/audit/sources"
require "catenary/rails/audit/finding"
require "catenary/rails/audit/check"
require "catenary/rails/audit/values"
require "catenary/rails/audit/state_check"
require "catenary/rails/audit/class_state_check"
require "catenary/rails/audit/stream_check"
require "catenary/rails/audit/reach_check"
require "catenary/rails/audit/time_check"
require "catenary/rails/audit/hook_check"
require "catenary/rails/audit/turbo_check"
require "catenary/rails/audit/habit_check"
require "catenary/rails/audit/settings_check"
require "catenary/rails/audit/subject"
require "catenary/rails/audit/application"
require "catenary/rails/audit/report"

module Catenary
  module Rails
    # Says of each channel and connection what it runs as behind catenary. It asks Ruby for what classes, methods and timers there
    # are, and reads the bodies of methods with Ruby's own parser. It loads channels and connections, and needs no database.
    #
    # `catenary audit` feeds these files to `bin/rails runner` of an application that need not have the gem, so they use nothing
    # of it but what is required here.
    class Audit
      CHANNEL_CHECKS = [TimeCheck, StreamCheck, GraphqlCheck, HookCheck, StateCheck, ClassStateCheck, ReachCheck, TurboCheck, HabitCheck].freeze
      CONNECTION_CHECKS = [TimeCheck, StreamCheck, HookCheck, StateCheck, ClassStateCheck, ReachCheck, HabitCheck].freeze
      ELSEWHERE_CHECKS = [StreamCheck, GraphqlCheck, HookCheck, ReachCheck, SettingsCheck].freeze

      # Returns the text of the report, and whether something cannot work as it stands.
      def self.run(json: false)
        report = new(::Rails.root.to_s).report
        [json ? "#{report.to_json}\n" : report.to_s, report.fails?]
      end

      # What config/catenary.yml leaves to the application's own Action Cable in production.
      def self.passed_through(root)
        file = "#{root}/config/catenary.yml"
        sections = File.exist?(file) ? ActiveSupport::ConfigurationFile.parse(file) : {}
        list = %w[production shared].filter_map { |name| sections.dig(name, "pass_through") }.first
        (list.is_a?(String) ? list.split(",") : Array(list)).map { |name| name.strip.delete_prefix("::") }
      rescue StandardError, ScriptError
        [] # catenary config says what is wrong with it
      end

      def initialize(root)
        @application = Application.new(root)
      end

      def report
        subjects = @application.channels + @application.connections
        subjects.each(&:audit)
        elsewhere = @application.elsewhere
        findings = ELSEWHERE_CHECKS.flat_map { |check| check.findings(elsewhere) } + failures
        Report.new(channels: @application.channels, connections: @application.connections, elsewhere: findings.uniq(&:to_h).sort_by.with_index { |finding, i| [finding.file, finding.line, i] },
          notes: notes, passed: Audit.passed_through(@application.sources.root), sources: @application.sources)
      end

      private
        def failures
          @application.failures.map do |file, error|
            Finding.new(rule: "loading", file: file, line: line_of(error, file), runs: database?(error) ? "plain" : "cannot work", code: "#{error.class}: #{error.message.lines.first.to_s.strip}",
              means: "it does not load, so the audit knows nothing of it", advice: database?(error) ? "audit where the database is" : "change: until bin/rails zeitwerk:check passes")
          end
        end

        def line_of(error, file)
          error.backtrace.to_a.grep(/\A#{Regexp.escape(file)}:(\d+)/) { $1.to_i }.first || 1
        end

        def database?(error)
          defined?(ActiveRecord::ActiveRecordError) && error.is_a?(ActiveRecord::ActiveRecordError)
        end

        def notes
          @application.sources.broken.map { |file, text| Report::Note.new(file: file, text: "not read: #{text}") }
        end
    end
  end
end
