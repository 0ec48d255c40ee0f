module ApplicationCable
  # With ?mode=member the user is a member of the tenant. ?switch= chooses where Action Cable
  # switches to the tenant: "command" is around_command (as of Rails 7.1), "dispatch" an overridden
  # dispatch_websocket_message (up to 8.1), "work" a callback of the workers. connect itself
  # switches in any case.
  module Tenanted
    extend ActiveSupport::Concern

    included do
      around_command { |_, command| switched_by("command") { command.call } } if respond_to?(:around_command)
    end

    def dispatch_websocket_message(*)
      switched_by("dispatch") { super }
    end

    def switched_by(where, &block)
      @switch == where ? Tenant.switch(tenant, &block) : yield
    end

    private
      def member
        @switch = request.params[:switch]
        Tenant.switch(request.params[:tenant]) { Member.find(request.params[:uid]) }
      end
  end
end
