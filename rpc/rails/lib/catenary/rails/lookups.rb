module Catenary
  module Rails
    # The records in variables of a rebuilt connection and its channels, which are looked up as late as can be: inside of the
    # application's own callbacks, which may have switched to a tenant by then. Those of the connection are at their first use, at
    # the latest before a command; those of a channel before its code runs.
    #
    # When a connection ends no command runs, and an application that switches to a tenant around commands is in none. Records that
    # are not found then are looked up inside of the callbacks of a command that does nothing.
    class Lookups
      CONNECTION = nil # in the place of an identifier
      NO_COMMAND = { "command" => "catenary" }.freeze

      def initialize(live)
        @live = live
        @pending = {} # by identifier
        @due = @warn = nil
        @ending = false
      end

      # Returns what stands in the variable until it is looked up.
      def add(identifier, object, name, written)
        of_object = @pending[identifier] ||= {}
        of_object[name] = PendingRecord.new(self, object, name, written)
      end

      # From now on they are looked up when it is time.
      def start
        return if @pending.empty?
        @live.lookups = self
        @pending[CONNECTION]&.each_key { |name| before_reading name }
        before_commands
        inside_of_work
      end

      # The work in the block is code of these channels.
      def due(identifiers)
        @due = identifiers
        yield
      ensure
        @due = nil
      end

      # The same while the connection ends. What is gone becomes nil, with a warning, where otherwise it would be lost.
      def due_at_end(identifiers, warnings, &block)
        @ending, @warn = true, warnings.method(:<<)
        due(identifiers, &block)
      end

      # Inside of the callbacks of work.
      def before_work
        return unless @due
        find_with_command CONNECTION, *@due if @ending
        look_up CONNECTION, *@due
      end

      # Inside of the callbacks of a command. A subscription can end without what is gone.
      def before_command(command)
        look_up CONNECTION
        return unless command.is_a?(Hash)
        @warn = ->(reason) { ::Rails.logger&.warn "[catenary] #{reason}" } if command["command"] == "unsubscribe"
        look_up command["identifier"]
      ensure
        @warn = nil
      end

      # Inside of the callbacks of NO_COMMAND.
      def run_no_command
        @missing.each { |record| found?(record) }
      end

      def ending?
        @ending
      end

      # Called by PendingRecord.
      def find(object, name, written)
        StateCodec.decode(*written)
      rescue StandardError => error
        lost "#{object.class}: #{name} is lost: #{error.message}"
      end

      private
        def look_up(*identifiers)
          identifiers.each do |identifier|
            @pending.delete(identifier)&.each_value { |record| record.__record__ if record.__wanted__? }
          end
        end

        # What is not found without them is looked up inside of the callbacks of a command.
        def find_with_command(*identifiers)
          warn, @warn = @warn, nil
          records = @pending.values_at(*identifiers).compact.flat_map(&:values).select(&:__wanted__?)
          @missing = records.reject { |record| found?(record) }
          catch(@live) { @live.dispatch NO_COMMAND } if @missing.any?
        rescue StandardError => error
          warn.call "callbacks of commands raised at the end of a connection: #{error.message} (#{error.class})"
        ensure
          @warn = warn
        end

        def found?(record)
          catch(@live) do
            record.__record__
            return true
          end
          false
        end

        # The application's own reader gives the record, and not what stands for it.
        def before_reading(name)
          connection, reader = @live.connection, name.to_s.delete_prefix("@")
          return unless connection.respond_to?(reader, true)
          connection.define_singleton_method(reader) do |*arguments, &block|
            value = instance_variable_get(name)
            value.__record__ if PendingRecord === value
            super(*arguments, &block)
          end
        end

        def before_commands
          lookups = self
          @live.connection.subscriptions.define_singleton_method(:execute_command) do |command|
            next lookups.run_no_command if command == NO_COMMAND && lookups.ending?
            lookups.before_command command
            super(command)
          end
        end

        def inside_of_work
          lookups = self
          @live.server.worker_pool.define_singleton_method(:work) do |connection, &block|
            super(connection) do
              lookups.before_work
              block.call
            end
          end
        end

        # An exception would be the application's, to rescue and to report.
        def lost(reason)
          throw @live, reason unless @warn
          @warn.call reason
          nil
        rescue UncaughtThrowError # in a thread of the application's own
          raise Lost, reason
        end
    end
  end
end
