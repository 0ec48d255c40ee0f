module ApplicationCable
  # Identified by the query, for example ?uid=7&tenant=acme&sleep=0.5&mode=reject. See README.md.
  class Connection < ActionCable::Connection::Base
    identified_by :user, :tenant
    include Witnessed
    include Tenanted

    def connect
      sleep request.params[:sleep].to_f
      identify
      be_witnessed
      record "connect"
      Leftovers.note "connect, inside", request if Leftovers.enabled?

      case request.params[:mode]
      when "reject"       then reject_unauthorized_connection
      when "raise"        then raise "connect failed, as asked"
      when "close"        then close
      when "close_custom" then close(reason: "custom", reconnect: false)
      when "transmit"     then transmit({ hello: 1 })
      when "thread"       then Thread.new { transmit({ thread: 1 }) }
      end
    end

    def disconnect
      record "disconnect"
    end

    private
      def identify
        case request.params[:mode]
        when "anon"
        when "str"
          self.user, self.tenant = "plain", :sym
        when "jwt"
          self.user = SignIn.user(request.params[:token]) || reject_unauthorized_connection
        when "member"
          self.user, self.tenant = member, request.params[:tenant]
        when "lock"
          self.user = Mutex.new
        else
          self.user, self.tenant = User.new(request.params[:uid] || 1), request.params[:tenant] || request.env["lab.account"]
        end
      end

      def record(event)
        Rails.configuration.event_log.add event: event, user: user.try(:id) || user&.to_s, tenant: tenant, query: request.query_string
      end
  end
end
