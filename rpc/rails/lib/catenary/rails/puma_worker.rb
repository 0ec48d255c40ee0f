module Catenary
  module Rails
    # Which of Puma's workers this process is, and how many there are. Empty without workers.
    module PumaWorker
      TITLE = /\Apuma: cluster worker (\d+)/

      def self.to_h
        return {} unless index = $0[TITLE, 1]
        count = ::Puma.cli_config&.options&.[](:workers) if defined?(::Puma) && ::Puma.respond_to?(:cli_config)
        { index: index.to_i, count: count }.compact
      end
    end
  end
end
