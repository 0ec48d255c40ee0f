require "json"

module Catenary
  module Rails
    class Audit
      # What the audit has found, for people and for programs.
      class Report
        PASSED = "passed through"
        SUMMARY = [ # [runs, one, many]
          ["timers", "with timers", "with timers"], ["live state", "with state that cannot move", "with state that cannot move"],
          ["pinned", "pinned", "pinned"], ["pass-through", "needs pass-through", "need pass-through"], ["cannot work", "cannot work", "cannot work"]
        ].freeze

        Note = Struct.new(:file, :text, keyword_init: true)

        # everywhere: what Rails' own classes make of all channels. passed: what config/catenary.yml passes through.
        def initialize(channels:, connections:, elsewhere:, notes:, passed:, sources:)
          @channels, @connections, @elsewhere, @notes, @passed = channels, connections, elsewhere, notes, passed
          @root, @label = sources.root, sources.method(:label)
        end

        # Whether something cannot work as it stands.
        def fails?
          failing(@channels).any? || failing_elsewhere.any?
        end

        def to_s
          [table, *details, *notes, "", summary, ""].join("\n")
        end

        def to_json(*)
          JSON.pretty_generate(root: @root, channels: @channels.map { |one| subject(one) }, connections: @connections.map { |one| subject(one) },
            application: @elsewhere.map { |one| finding(one) }, notes: @notes.map { |note| { file: @label.(note.file), text: note.text } }, counts: counts)
        end

        private
          def passed?(subject)
            @passed.include?("all") || @passed.include?(subject.name) && !subject.connection?
          end

          def rank(subject)
            (subject.findings + shared(subject)).map(&:rank).max || 0
          end

          # Of channels also what somebody has put into Rails' own classes.
          def shared(subject)
            subject.connection? ? [] : @elsewhere.select { |finding| finding.rule == "delivery" }
          end

          def runs(subject)
            passed?(subject) ? PASSED : RUNS[rank(subject)]
          end

          def reasons(subject)
            (subject.findings + shared(subject)).select { |finding| finding.rank == rank(subject) && finding.rank.positive? }.map(&:rule).uniq
          end

          def failing(subjects)
            subjects.select { |subject| !passed?(subject) && subject.findings.any?(&:fails?) }
          end

          def failing_elsewhere
            failing(@connections) + @elsewhere.select(&:fails?)
          end

          def table
            rows = [["CHANNEL", "RUNS", "BECAUSE OF"]] + (@channels + @connections).map { |one| [one.name, runs(one), reasons(one).join(", ")] }
            widths = [0, 1].map { |column| rows.map { |row| row[column].size }.max }
            rows.map { |name, runs, reasons| "#{name.ljust(widths[0])}  #{runs.ljust(widths[1])}  #{reasons}".rstrip }
          end

          def details
            blocks = (@channels + @connections).map { |one| [one.name, *of(one)] } << ["Elsewhere in the application", *lines(@elsewhere)]
            blocks.flat_map { |name, *lines| lines.empty? ? [] : ["", name, *lines] }
          end

          # A subclass does not repeat what is found in a class that has lines of its own.
          def of(subject)
            above = subject.type.ancestors.drop(1).filter_map { |type| (@channels + @connections).find { |other| other.type == type } }.find { |other| other.findings.any? }
            return lines(subject.findings) unless above
            known = above.findings.map(&:place)
            ["  as #{above.name}", *lines(subject.findings.reject { |finding| known.include?(finding.place) })]
          end

          # What several lines in a row have in common is said once.
          def lines(findings)
            findings.each_with_index.flat_map do |finding, i|
              following = findings[i + 1]
              last = following.nil? || following.means != finding.means || following.advice != finding.advice
              ["  #{@label.(finding.file)}:#{finding.line}  #{finding.code}", *("    #{finding.means}" if last), *("    -> #{finding.advice}" if last)]
            end
          end

          def notes
            @notes.empty? ? [] : ["", "Not understood", *@notes.map { |note| "  #{@label.(note.file)}  #{note.text}" }]
          end

          def summary
            parts = [count(@channels.size, "channel", "channels"), "#{counts.fetch("plain", 0)} plain"]
            SUMMARY.each { |runs, one, many| parts << count(counts[runs], one, many) if counts[runs] }
            parts << "#{counts[PASSED]} #{PASSED}" if counts[PASSED]
            parts << count(failing_elsewhere.size, "thing elsewhere cannot work", "things elsewhere cannot work") if failing_elsewhere.any?
            "audit: #{parts.join(", ")}"
          end

          def counts
            @channels.map { |one| runs(one) }.tally
          end

          def count(number, one, many)
            "#{number} #{number == 1 ? one : many}"
          end

          def subject(one)
            { name: one.name, file: @label.(one.file), line: one.line, runs: RUNS[rank(one)], passed_through: passed?(one), findings: one.findings.map { |found| finding(found) } }
          end

          def finding(one)
            one.to_h.merge(file: @label.(one.file))
          end
      end
    end
  end
end
