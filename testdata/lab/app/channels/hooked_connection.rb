# Takes the place of the usual one by config.action_cable.connection_class.
class HookedConnection < ApplicationCable::Connection
end
