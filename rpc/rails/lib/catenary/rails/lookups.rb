module Catenary
  module Rails
    # Looks up the records in variables of a rebuilt connection and its channels as late as
    # possible: inside of the application's own callbacks, which may have switched to a tenant by
    # then. Those of the connection are looked up at their first use, at the latest before a
    # command; those of a channel before its code runs.
    #
    # When a connection closes, no command runs, so an application that switches to a tenant around
    # commands has not switched. Records that are not found then are looked up once more inside of
    # the callbacks of a command that does nothing.
    class Lookups
      CONNECTION = nil # the connection's key; channels have their identifiers
      EMPTY_COMMAND = { "command" => "catenary" }.freeze

      def initialize(live)
        @live = live
        @pending = {} # PendingRecord by identifier and variable
        @current = nil # identifiers of the channels whose code is about to run
        @warn = nil # what to call for a lost record; nil: the connection is lost
        @closing = false
      end

      # Returns what to put into the variable until the record is looked up.
      def add(identifier, object, name, encoded)
        of_object = @pending[identifier] ||= {}
        of_object[name] = PendingRecord.new(self, object, name, encoded)
      end

      # Hooks into the connection. To be called after the last add.
      def start
        return if @pending.empty?
        @live.lookups = self
        @pending[CONNECTION]&.each_key { |name| hook_reader name }
        hook_commands
        hook_work
      end

      # Work in the block is code of these channels.
      def for_channels(identifiers)
        @current = identifiers
        yield
      ensure
        @current = nil
      end

      # The same while the connection closes. A record that is lost becomes nil, with a warning.
      def at_close(identifiers, warnings, &block)
        @closing, @warn = true, warnings.method(:<<)
        for_channels(identifiers, &block)
      end

      # Called inside of the callbacks of Worker#work.
      def before_work
        return unless @current
        find_inside_command CONNECTION, *@current if @closing
        look_up CONNECTION, *@current
      end

      # Called inside of the callbacks of a command. An unsubscribe runs even without lost records.
      def before_command(command)
        look_up CONNECTION
        return unless command.is_a?(Hash)
        @warn = ->(reason) { ::Rails.logger&.warn "[catenary] #{reason}" } if command["command"] == "unsubscribe"
        look_up command["identifier"]
      ensure
        @warn = nil
      end

      # Called inside of the callbacks of EMPTY_COMMAND.
      def find_missing
        @missing.each { |record| found?(record) }
      end

      def closing?
        @closing
      end

      # Called by PendingRecord.
      def find(object, name, encoded)
        StateCodec.decode(*encoded)
      rescue StandardError => error
        lost "#{object.class}: #{name} is lost: #{error.message}"
      end

      private
        def look_up(*identifiers)
          identifiers.each do |identifier|
            @pending.delete(identifier)&.each_value { |record| record.__record__ if record.__in_place__? }
          end
        end

        # Looks up what is not found without it inside of the callbacks of a command.
        def find_inside_command(*identifiers)
          warn, @warn = @warn, nil
          records = @pending.values_at(*identifiers).compact.flat_map(&:values).select(&:__in_place__?)
          @missing = records.reject { |record| found?(record) }
          catch(@live) { @live.dispatch EMPTY_COMMAND } if @missing.any?
        rescue StandardError => error
          warn.call "command callbacks raised while a connection closed: #{error.message} (#{error.class})"
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

        # Makes the application's reader return the record, not its PendingRecord.
        def hook_reader(name)
          connection, reader = @live.connection, name.to_s.delete_prefix("@")
          return unless connection.respond_to?(reader, true)
          connection.define_singleton_method(reader) do |*arguments, &block|
            value = instance_variable_get(name)
            value.__record__ if PendingRecord === value
            super(*arguments, &block)
          end
        end

        def hook_commands
          lookups = self
          @live.connection.subscriptions.define_singleton_method(:execute_command) do |command|
            next lookups.find_missing if command == EMPTY_COMMAND && lookups.closing?
            lookups.before_command command
            super(command)
          end
        end

        def hook_work
          lookups = self
          @live.server.worker_pool.define_singleton_method(:work) do |connection, &block|
            super(connection) do
              lookups.before_work
              block.call
            end
          end
        end

        # Throws, because the application would rescue and report an exception.
        def lost(reason)
          throw @live, reason unless @warn
          @warn.call reason
          nil
        rescue UncaughtThrowError # in a thread of the application's
          raise Lost, reason
        end
    end
  end
end
