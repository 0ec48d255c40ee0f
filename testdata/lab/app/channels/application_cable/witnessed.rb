module ApplicationCable
  # With ?witness=NAME: a log tag, and notes of the command callbacks (as of Rails 7.1).
  module Witnessed
    extend ActiveSupport::Concern

    included do
      rescue_from Witness::Trouble do |error|
        Witness.note "the connection rescues #{error.message}"
        transmit({ rescued: error.message })
      end

      if Witness.enabled? && respond_to?(:before_command)
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

    # Makes a callback abort all further commands.
    def lock
      @locked = true
    end

    private
      def be_witnessed
        logger.add_tags "witness", request.params[:witness] if request.params[:witness]
      end

      def witness_command(where)
        Witness.note "#{where} command of #{user.try(:id)}, Current.person #{Current.person.inspect}" if request.params[:witness]
      end
  end
end
