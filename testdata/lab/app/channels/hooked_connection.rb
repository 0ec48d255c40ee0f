# The connection class where config.action_cable.connection_class is set.
class HookedConnection < ApplicationCable::Connection
end
