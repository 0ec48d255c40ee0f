require "json"

module Catenary
  module Rails
    module Audit
      # What the audit has found, for people and for programs.
      class Report
        PASSED = "passed through"

        # In the summary, of one and of many.
        COUNTED = {
          "timers" => ["with timers"] * 2, "live state" => ["with state that cannot move"] * 2, "pinned" => ["pinned"] * 2,
          "pass-through" => ["needs pass-through", "need pass-through"], "cannot work" => ["cannot work"] * 2, PASSED => [PASSED] * 2
        }.freeze

        # elsewhere: findings outside of channels and connections. passed: what config/catenary.yml passes through.
        def initialize(channels:, connections:, elsewhere:, passed:, sources:)
          @channels, @connections, @elsewhere, @passed, @sources = channels, connections, elsewhere, passed, sources
        end

        # Whether something cannot work as it stands.
        def fails?
          @channels.any? { |channel| failing?(channel) } || failures_elsewhere > 0
        end

        def to_s
          [table, *details, *notes, "", summary, ""].join("\n")
        end

        def to_json(*)
          JSON.pretty_generate(
            root: @sources.root, channels: @channels.map { |channel| plain(channel) }, connections: @connections.map { |one| plain(one) },
            application: @elsewhere.map { |finding| labelled(finding) },
            notes: @sources.broken.map { |file, text| { file: @sources.label(file), text: text } }, counts: counts
          )
        end

        private
          def subjects
            @channels + @connections
          end

          # Of a channel also what somebody has put into Rails' own classes.
          def findings(subject)
            subject.connection? ? subject.findings : subject.findings + @elsewhere.select { |finding| finding.rule == "delivery" }
          end

          def rank(subject)
            findings(subject).map(&:rank).max || 0
          end

          def runs(subject)
            passed?(subject) ? PASSED : RUNS[rank(subject)]
          end

          def reasons(subject)
            rank(subject).zero? ? [] : findings(subject).select { |finding| finding.rank == rank(subject) }.map(&:rule).uniq
          end

          def passed?(subject)
            @passed.include?("all") || @passed.include?(subject.name) && !subject.connection?
          end

          def failing?(subject)
            !passed?(subject) && subject.findings.any?(&:fails?)
          end

          def failures_elsewhere
            @connections.count { |connection| failing?(connection) } + @elsewhere.count(&:fails?)
          end

          def table
            rows = [["CHANNEL", "RUNS", "BECAUSE OF"], *subjects.map { |one| [one.name, runs(one), reasons(one).join(", ")] }]
            first, second = [0, 1].map { |column| rows.map { |row| row[column].size }.max }
            rows.map { |name, runs, reasons| "#{name.ljust(first)}  #{runs.ljust(second)}  #{reasons}".rstrip }
          end

          def details
            blocks = subjects.map { |subject| [subject.name, *own_lines(subject)] }
            blocks << ["Elsewhere in the application", *lines(@elsewhere)]
            blocks.flat_map { |title, *lines| lines.empty? ? [] : ["", title, *lines] }
          end

          # What is found in a class that others inherit from is listed there.
          def own_lines(subject)
            above = subject.type.ancestors.drop(1).filter_map { |type| subjects.find { |other| other.type == type } }
            listed = above.find { |other| other.findings.any? } or return lines(subject.findings)
            known = listed.findings.map(&:place)
            ["  as #{listed.name}", *lines(subject.findings.reject { |finding| known.include?(finding.place) })]
          end

          # What several findings in a row have in common stands below the last.
          def lines(findings)
            findings.slice_when { |one, other| [one.means, one.advice] != [other.means, other.advice] }.flat_map do |alike|
              [*alike.map { |finding| "  #{@sources.label(finding.file)}:#{finding.line}  #{finding.code}" },
                "    #{alike.last.means}", "    -> #{alike.last.advice}"]
            end
          end

          def notes
            broken = @sources.broken.map { |file, text| "  #{@sources.label(file)}  #{text}" }
            broken.empty? ? [] : ["", "Not understood", *broken]
          end

          def summary
            parts = [count(@channels.size, "channel", "channels"), "#{counts.fetch("plain", 0)} plain"]
            COUNTED.each { |runs, (one, many)| parts << count(counts[runs], one, many) if counts[runs] }
            parts << count(failures_elsewhere, "thing elsewhere cannot work", "things elsewhere cannot work") if failures_elsewhere > 0
            "audit: #{parts.join(", ")}"
          end

          def counts
            @channels.map { |channel| runs(channel) }.tally
          end

          def count(number, one, many)
            "#{number} #{number == 1 ? one : many}"
          end

          def plain(subject)
            file, line = subject.location
            { name: subject.name, file: @sources.label(file), line: line, runs: RUNS[rank(subject)], passed_through: passed?(subject),
              findings: subject.findings.map { |finding| labelled(finding) } }
          end

          def labelled(finding)
            finding.to_h.merge(file: @sources.label(finding.file))
          end
      end
    end
  end
end
