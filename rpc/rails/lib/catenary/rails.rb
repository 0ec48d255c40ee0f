require "rails"
require "action_cable/engine"
require "active_support/time"
require "json"
require "stringio"

# Answers the calls of catenary (docs/rpc.md) with the application's own Connection and channels. What is
# replaced is not them but what they talk to: the server, its pub/sub, its event loop, its worker pool and the socket, which
# record what is done to them as ops for catenary to carry out.
module Catenary
  module Rails
    PATH = "/_catenary"

    # What a connection needs is gone (state, a record, a block): the browser must reconnect.
    class Lost < StandardError; end
  end
end

require "catenary/rails/version"
require "catenary/rails/versions"
require "catenary/rails/native"
require "catenary/rails/throttled_log"
require "catenary/rails/fresh_thread"
require "catenary/rails/secret"
require "catenary/rails/nonces"
require "catenary/rails/signature"
require "catenary/rails/refusals"
require "catenary/rails/process_name"
require "catenary/rails/turbo_streams"
require "catenary/rails/settings"
require "catenary/rails/sync"
require "catenary/rails/ops"
require "catenary/rails/coder"
require "catenary/rails/socket"
require "catenary/rails/event_loop"
require "catenary/rails/worker_pool"
require "catenary/rails/pubsub"
require "catenary/rails/server"
require "catenary/rails/channel_streams"
require "catenary/rails/mount"
require "catenary/rails/trace"
require "catenary/rails/handshake"
require "catenary/rails/identities"
require "catenary/rails/identified"
require "catenary/rails/ledger"
require "catenary/rails/live_connection"
require "catenary/rails/live_connections"
require "catenary/rails/state_codec"
require "catenary/rails/state"
require "catenary/rails/snapshot"
require "catenary/rails/restoration"
require "catenary/rails/call"
require "catenary/rails/framing"
require "catenary/rails/link"
require "catenary/rails/worker"
require "catenary/rails/workers"
require "catenary/rails/watch"
require "catenary/rails/links"
require "catenary/rails/upgrade"
require "catenary/rails/endpoint"
require "catenary/rails/middleware"
require "catenary/rails/railtie"
