module Catenary
  module Rails
    # What catenary has of the state of a connection and its channels. A call looks only at the objects that it has touched, so
    # that its cost does not grow with the number of subscriptions; everything is looked at when the state is handed over.
    class Ledger
      CONNECTION = nil # in the place of an identifier

      # digest: of the text that was written.
      Entry = Struct.new(:object, :snapshot, :digest)

      def initialize(live, state)
        @live, @state = live, state
        @entries = {} # by identifier
        @changed = {} # the identifiers of what catenary lacks
      end

      # The objects are made of what catenary sent.
      def adopt(connection_text, channel_texts)
        enter CONNECTION, @live.connection, connection_text
        @live.channels.each { |identifier, channel| enter identifier, channel, channel_texts[identifier] }
      end

      # Notes whether the connection and the channels of those identifiers have changed.
      def look(identifiers)
        examine CONNECTION, @live.connection
        identifiers.each { |identifier| examine identifier, @live.channels[identifier] }
      end

      # Whether catenary has all of the state, so far as has been looked.
      def complete?
        @changed.empty?
      end

      # The state that catenary lacks, of which it will have been told: {state: text, channels: {identifier => {state: text}}}.
      def unwritten(warnings)
        look @live.channels.keys
        collect warnings
      end

      private
        def examine(identifier, object)
          if object.nil?
            @entries.delete identifier
            @changed.delete identifier
          elsif !@changed.key?(identifier) && !holds?(@entries[identifier], object)
            @changed[identifier] = true
          end
        end

        def holds?(entry, object)
          entry && entry.object.equal?(object) && entry.snapshot.holds?(object, State.flags(object))
        end

        def collect(warnings)
          texts = @changed.keys.filter_map { |identifier| write(identifier, warnings) }.to_h
          @changed.clear
          part texts
        end

        # Returns identifier and text, or nil if it is what was written last.
        def write(identifier, warnings)
          object = identifier == CONNECTION ? @live.connection : @live.channels[identifier]
          return unless object
          text = @state.write(object, @live.name, warnings)
          before = @entries[identifier]
          enter identifier, object, text
          [identifier, text] unless before && before.object.equal?(object) && before.digest == text.hash
        end

        def enter(identifier, object, text)
          @entries[identifier] = Entry.new(object, Snapshot.new(object, State.not_ours(object), State.flags(object)), text.hash)
        end

        def part(texts)
          parts = {}
          parts[:state] = texts.delete(CONNECTION) if texts.key?(CONNECTION)
          parts[:channels] = texts.transform_values { |text| { state: text } } if texts.any?
          parts
        end
    end
  end
end
