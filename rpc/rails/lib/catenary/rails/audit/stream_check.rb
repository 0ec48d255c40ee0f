module Catenary
  module Rails
    class Audit
      # Streams whose messages only Ruby can deliver. Mirrors ChannelStreams, which decides the same when a stream is opened.
      class StreamCheck < Check
        MEANS = "Ruby runs for every broadcast, in the Rails process that opened the stream; when that process stops, the browser has to reconnect"

        def look
          calls("stream_from", "stream_for", "stream_or_reject_for") { |call| opened call }
          calls("subscribe") { |call| subscribed call if call.receiver&.call?("pubsub") }
          calls { |call| handed_over call } if subject.channels?
        end

        # What makes a stream one that needs Ruby, or nil.
        def self.needs_ruby(call)
          coder, callback = call.label("coder"), call.positional[1]
          if call.block? then "#{call.name} with a block"
          elsif callback && callback.name != "nil" then "#{call.name} with a callback"
          elsif coder && !%w[nil ActiveSupport::JSON].include?(coder.to_s) then "#{call.name} with coder #{coder}"
          elsif call.splat? then "#{call.name} with arguments that only Ruby knows"
          end
        end

        private
          def opened(call)
            return unless code = self.class.needs_ruby(call)
            if subject.channels?
              found "stream blocks", call, "pinned", code, MEANS, "#{PIN}, or #{subject.pass_through}"
            elsif !call.to_self?
              found "stream blocks", call, "pinned", code, "the channel that it is opened for is pinned: #{MEANS}", "#{PIN}, or #{subject.pass_through}"
            end
          end

          def subscribed(call)
            found "stream blocks", call, "pinned", "pubsub.subscribe", "a handler of its own: #{MEANS}", "#{PIN}, or #{subject.pass_through}"
          end

          # To a class that opens streams for the channel.
          def handed_over(call)
            return unless call.gives_self? && call.root.const?
            name = call.root.name
            opening = subject.sources.lookup(name, subject.name).flat_map { |body| body.own.to_a }.find { |node| for_another?(node) } or return
            found "stream blocks", call, "pinned", "#{name} gets the channel",
              "at #{subject.sources.label(opening.file)}:#{opening.line} it opens a #{self.class.needs_ruby(opening)}: #{MEANS}", "#{PIN}, or #{subject.pass_through}"
          end

          def for_another?(node)
            node.call?("stream_from", "stream_for") && !node.to_self? && self.class.needs_ruby(node)
          end
      end

      # graphql-ruby's subscriptions over Action Cable: the schema is given the channel and keeps it.
      class GraphqlCheck < Check
        SCHEMA = /ActionCableSubscriptions\z/

        def look
          return schemas unless subject.channels?
          subject.nodes.each { |node| given node if gives_channel?(node) } if subject.sources.suspects.any? { |tree| tree.any? { |node| schema?(node) } }
        end

        private
          def schemas
            subject.nodes.select { |node| schema?(node) }.each do |node|
              found "graphql-ruby", node, "pinned", "GraphQL::Subscriptions::ActionCableSubscriptions",
                "channels that execute subscriptions are pinned to the process that has their queries in memory", PIN
            end
          end

          def schema?(node)
            node.const? && node.name.match?(SCHEMA)
          end

          # channel: self, or context[:channel] = self.
          def gives_channel?(node)
            node.type == :pair && node.name == "channel" && node[:value]&.type == :self ||
              node.type == :assign && node[:value]&.type == :self && node[:target]&.type == :index && node[:target].arguments.first&.name == "channel"
          end

          def given(node)
            found "graphql-ruby", node, "pinned", "channel: self",
              "the schema keeps this channel and its queries in memory and runs them for each event: #{StreamCheck::MEANS}",
              "#{PIN}, or #{subject.pass_through}, or change: graphql-anycable's store"
          end
      end
    end
  end
end
