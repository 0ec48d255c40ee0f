module Catenary
  module Rails
    # Tracks which parts of the state of a connection and its channels catenary has. A call checks
    # only the objects that it has touched, so that its cost does not grow with the number of
    # subscriptions. Everything is checked when the state is handed over.
    class Ledger
      CONNECTION = nil # the connection's key; channels have their identifiers

      # digest: of the text that was written last.
      Entry = Struct.new(:object, :snapshot, :digest)

      def initialize(live, state)
        @live, @state = live, state
        @entries = {} # by identifier
        @changed = {} # identifiers of what catenary lacks
      end

      # The objects were restored from what catenary sent.
      def restored(connection_text, channel_texts)
        remember CONNECTION, @live.connection, connection_text
        @live.channels.each { |identifier, channel| remember identifier, channel, channel_texts[identifier] }
      end

      # Notes whether the connection, and the channels of these identifiers, have changed.
      def check(identifiers)
        examine CONNECTION, @live.connection
        identifiers.each { |identifier| examine identifier, @live.channels[identifier] }
      end

      # Whether catenary has all of the state, as far as it was checked.
      def complete?
        @changed.empty?
      end

      # Returns the state that catenary lacks, and assumes that it will be sent:
      # {state: text, channels: {identifier => {state: text}}}.
      def take_missing(warnings)
        check @live.channels.keys
        texts = @changed.keys.filter_map { |identifier| write(identifier, warnings) }.to_h
        @changed.clear
        message texts
      end

      private
        def examine(identifier, object)
          if object.nil?
            @entries.delete identifier
            @changed.delete identifier
          elsif !@changed.key?(identifier) && !unchanged?(@entries[identifier], object)
            @changed[identifier] = true
          end
        end

        def unchanged?(entry, object)
          entry && entry.object.equal?(object) && entry.snapshot.matches?(object, State.flags(object))
        end

        # Returns identifier and text, or nil if the text is the one that was written last.
        def write(identifier, warnings)
          object = identifier == CONNECTION ? @live.connection : @live.channels[identifier]
          return unless object
          text = @state.write(object, @live.name, warnings)
          before = @entries[identifier]
          remember identifier, object, text
          [identifier, text] unless before && before.object.equal?(object) && before.digest == text.hash
        end

        def remember(identifier, object, text)
          snapshot = Snapshot.new(object, State.rails_variables(object), State.flags(object))
          @entries[identifier] = Entry.new(object, snapshot, text.hash)
        end

        def message(texts)
          message = {}
          message[:state] = texts.delete(CONNECTION) if texts.key?(CONNECTION)
          message[:channels] = texts.transform_values { |text| { state: text } } if texts.any?
          message
        end
    end
  end
end
