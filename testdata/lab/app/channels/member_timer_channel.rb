# The same at every tick.
class MemberTimerChannel < MemberChannel
  periodically :who, every: 0.3
end
