module Catenary
  module Rails
    module Audit
      # Timers, and code that goes on for long or after its command.
      class TimeCheck < Check
        THREADS = {
          "Thread" => %w[new start fork], "Concurrent::Promises" => %w[future], "Concurrent::Future" => %w[execute],
          "Concurrent::Promise" => %w[execute], "Concurrent::ScheduledTask" => %w[execute]
        }.freeze

        def look
          timers unless subject.connection?
          each { |node| found :endless, node, "a loop that sleeps" if endless?(node) } unless subject.connection?
          calls.each { |call| found :thread, call, "#{call.receiver.name}.#{call.name}" if thread?(call) }
        end

        private
          # As many as Rails has; those that no code shows come from metaprogramming.
          def timers
            written = calls("periodically").select { |call| call.to_self? && call.around.none? { |node| node.type == :def } }
            written.each do |call|
              every = call.label("every")
              found :timer, call, every ? "periodically every: #{every}" : "periodically"
            end
            subject.type.periodic_timers.drop(written.size).each do |_, options|
              found :timer, subject.location, "periodically every: #{options[:every].inspect}"
            end
          end

          def endless?(node)
            forever?(node) && node.instance? && !node.in_thread? && node.any? { |inner| inner.call?("sleep") && !inner.in_thread? }
          end

          def forever?(node)
            return node.to_self? && node.block? if node.call?("loop")
            node.type == :loop && node[:condition]&.name == (node.name == "while" ? "true" : "false")
          end

          def thread?(call)
            call.receiver&.const? && THREADS.fetch(call.receiver.name, []).include?(call.name) && call.instance?
          end
      end
    end
  end
end
