module Catenary
  module Rails
    module Audit
      # Streams whose messages only Ruby can deliver. Mirrors ChannelStreams, which decides the same when one is opened.
      class StreamCheck < Check
        OPENING = %w[stream_from stream_for stream_or_reject_for].freeze

        def look
          calls(*OPENING).each { |call| opened call }
          calls("subscribe").each { |call| found :subscribe, call, "pubsub.subscribe" if call.receiver&.call?("pubsub") }
          calls.each { |call| handed_over call } if subject.channels?
        end

        private
          def opened(call)
            code = needs_ruby(call) or return
            if subject.channels?
              found :stream, call, code
            elsif !call.to_self?
              found :stream_of_others, call, code
            end
          end

          # What makes a stream one that needs Ruby, or nil.
          def needs_ruby(call)
            coder, callback = call.label("coder"), call.positional[1]
            if call.block? then "#{call.name} with a block"
            elsif callback && callback.name != "nil" then "#{call.name} with a callback"
            elsif coder && !%w[nil ActiveSupport::JSON].include?(coder.to_s) then "#{call.name} with coder #{coder}"
            elsif call.splat? then "#{call.name} with arguments that only Ruby knows"
            end
          end

          # To a class that opens streams for the channel.
          def handed_over(call)
            return unless call.gives_self? && call.root.const?
            name = call.root.name
            code = subject.sources.lookup(name, subject.name).flat_map { |body| body.own.to_a }
            opening = code.find { |node| node.call?(*OPENING) && !node.to_self? && needs_ruby(node) } or return
            found :gets_channel, call, "#{name} gets the channel", place: place(opening), stream: needs_ruby(opening)
          end
      end

      # graphql-ruby's subscriptions over Action Cable: the schema is given the channel and keeps it.
      class GraphqlCheck < Check
        def look
          if subject.channels?
            each { |node| found :query, node, "channel: self" if gives_channel?(node) } if schema?
          else
            schemas(subject.nodes).each { |node| found :schema, node, "GraphQL::Subscriptions::ActionCableSubscriptions" }
          end
        end

        private
          def schema?
            subject.sources.suspects.any? { |tree| schemas(tree).any? }
          end

          def schemas(nodes)
            nodes.select { |node| node.const? && node.name.end_with?("ActionCableSubscriptions") }
          end

          # channel: self, or context[:channel] = self.
          def gives_channel?(node)
            return false unless node[:value]&.type == :self
            target = node[:target]
            node.type == :pair && node.name == "channel" || target&.type == :index && target.arguments.first&.name == "channel"
          end
      end
    end
  end
end
