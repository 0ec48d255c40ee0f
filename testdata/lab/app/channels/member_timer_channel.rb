# Does the same with a periodic timer.
class MemberTimerChannel < MemberChannel
  periodically :who, every: 0.3
end
