module Catenary
  module Rails
    class Audit
      # What Turbo's streams cost.
      class TurboCheck < Check
        COST = "a page has one subscription for each turbo_stream_from; each is a call to Rails when it begins and when it ends"

        def look
          return unless channel = "Turbo::StreamsChannel".safe_constantize
          if subject.type == channel
            own = TurboStreams.new(::Rails.application).own&.sub("#{subject.sources.root}/", "")
            turbo "class #{subject.name}", own ? "#{COST}, and stays one, because #{own}" : "#{COST}; broadcasts cost Rails nothing",
              own ? NOTHING : "nothing to do, or turbo.verify_streams: true, with which catenary answers them"
          elsif subject.type < channel || verifies_names?
            turbo "class #{subject.name}", "#{COST}, also with turbo.verify_streams, which is for Turbo::StreamsChannel alone", NOTHING
          end
        end

        private
          # With Turbo::Streams::StreamName a channel of the application's verifies signed names itself.
          def verifies_names?
            defined?(::Turbo::Streams::StreamName::ClassMethods) && subject.type.singleton_class.include?(::Turbo::Streams::StreamName::ClassMethods)
          end

          def turbo(code, means, advice)
            found "turbo", [subject.file, subject.line], "plain", code, means, advice
          end
      end
    end
  end
end
