module ApplicationCable
  # With ?witness=NAME: a tag in the log, and what the connection's callbacks see of commands. They exist since Rails 7.1.
  module Witnessed
    extend ActiveSupport::Concern

    included do
      rescue_from Witness::Trouble do |error|
        Witness.see "the connection rescues #{error.message}"
        transmit({ rescued: error.message })
      end

      if Witness.wanted? && respond_to?(:before_command)
        before_command { witness_command "before" }
        before_command { throw :abort if @locked }
        after_command { witness_command "after" }
        around_command do |_, command|
          witness_command "around, before"
          command.call
          witness_command "around, after"
        end
      end
    end

    # From now on no command runs.
    def lock
      @locked = true
    end

    private
      def be_witnessed
        logger.add_tags "witness", request.params[:witness] if request.params[:witness]
      end

      def witness_command(where)
        Witness.see "#{where} command of #{user.try(:id)}, Current.person #{Current.person.inspect}" if request.params[:witness]
      end
  end
end
