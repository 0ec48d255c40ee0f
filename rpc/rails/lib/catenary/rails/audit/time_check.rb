module Catenary
  module Rails
    class Audit
      # Timers, and code that goes on for long or after its command.
      class TimeCheck < Check
        THREADS = { "Concurrent::Promises" => %w[future], "Concurrent::Future" => %w[execute], "Concurrent::Promise" => %w[execute],
          "Concurrent::ScheduledTask" => %w[execute], "Thread" => %w[new start fork] }.freeze

        def look
          timers unless subject.connection?
          subject.nodes.each { |node| endless node if loop?(node) } unless subject.connection?
          calls { |call| thread call if call.instance? && THREADS[call.receiver&.name]&.include?(call.name) && call.receiver.const? }
        end

        private
          # As many as Rails has; those that no code shows come from metaprogramming.
          def timers
            written = calls("periodically").select { |call| call.to_self? && call.around.none? { |node| node.type == :def } }
            written.each { |call| timer call, "periodically#{" every: #{call.label("every")}" if call.label("every")}" }
            subject.type.periodic_timers.drop(written.size).each do |_, options|
              timer [subject.file, subject.line], "periodically every: #{options[:every].inspect}"
            end
          end

          def timer(where, code)
            found "timers", where, "timers", code, "catenary ticks it, never twice at once; each tick of each subscription is a call to Rails"
          end

          def loop?(node)
            forever = node.type == :loop && node[:condition]&.name == (node.name == "while" ? "true" : "false") ||
              node.call?("loop") && node.to_self? && node.block?
            forever && node.instance? && !node.in_thread?
          end

          def endless(node)
            return unless node.any? { |inner| inner.call?("sleep") && !inner.in_thread? }
            found "endless loops", node, "pass-through", "a loop that sleeps",
              "commands of one browser run one after the other: while it loops, no other command of that browser runs, and it occupies one of config.catenary.workers",
              "#{subject.pass_through}, or change: periodically, or a thread"
          end

          def thread(call)
            found "threads", call, "plain", "#{call.receiver.name}.#{call.name}",
              "what it transmits and which streams it starts after the command reaches the browser; what it assigns may miss an object that is rebuilt elsewhere"
          end
      end
    end
  end
end
