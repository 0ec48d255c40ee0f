# Remembers a member of the tenant to which a callback has switched.
class MemberChannel < ApplicationCable::Channel
  def subscribed
    super
    @colleague = Member.find(params[:colleague])
  end

  def who
    transmit({ user: "#{user.id} of #{user.tenant}", colleague: "#{@colleague.id} of #{@colleague.tenant}", tenant: Tenant.current })
  end
end
