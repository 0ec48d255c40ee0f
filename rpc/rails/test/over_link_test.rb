require_relative "channel_test"
require_relative "identify_test"
require_relative "open_test"
require_relative "rebuild_test"
require_relative "state_test"
require_relative "stream_test"
require_relative "trace_test"

# The same tests; only the carrier differs.
[ChannelTest, IdentifyTest, OpenTest, RebuildTest, StateTest, TraceTest].each { |tests| OverLink.repeat tests }
