module Catenary
  module Rails
    module Audit
      # What Turbo's streams cost.
      class TurboCheck < Check
        def look
          channel = "Turbo::StreamsChannel".safe_constantize or return
          if subject.type == channel
            change = TurboStreams.new(::Rails.application).changes&.sub("#{subject.sources.root}/", "")
            change ? turbo(:turbo_changed, change: change) : turbo(:turbo)
          elsif subject.type < channel || verifies_names?
            turbo :turbo_custom
          end
        end

        private
          def turbo(key, **values)
            found key, subject.location, "class #{subject.name}", **values
          end

          # As a channel of the application's may.
          def verifies_names?
            defined?(::Turbo::Streams::StreamName) && subject.type.singleton_class.include?(::Turbo::Streams::StreamName)
          end
      end
    end
  end
end
