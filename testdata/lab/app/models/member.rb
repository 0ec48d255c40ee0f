# A record with an id that every tenant has.
class Member
  include GlobalID::Identification

  mattr_accessor :gone, default: [] # ids

  attr_reader :id, :tenant

  def self.find(id)
    raise User::NotFound, "there is no member #{id}" if gone.include?(id.to_s)
    new(id, Tenant.current)
  end

  def initialize(id, tenant)
    @id, @tenant = id.to_s, tenant
  end

  # A tenant makes all of its members when it comes.
  def created_at
    Time.utc(2020) + tenant.sum
  end
end
