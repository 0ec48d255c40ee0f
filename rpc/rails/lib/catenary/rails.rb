require "rails"
require "action_cable/engine"
require "active_support/time"
require "json"
require "stringio"

# Answers catenary's calls (docs/rpc.md) by running the application's own Connection and channels.
# They are unchanged. The gem replaces what surrounds them (the server, its pub/sub adapter, event
# loop and worker pool, and the socket) with objects that record effects for catenary to carry out.
module Catenary
  module Rails
    PATH = "/_catenary" # where catenary sends its calls and opens its links

    # Raised when a connection cannot be rebuilt, because its state, a record or a block is gone.
    # The browser must reconnect.
    class Lost < StandardError; end
  end
end

require "catenary/rails/version"
require "catenary/rails/versions"
require "catenary/rails/native"
require "catenary/rails/clock"
require "catenary/rails/throttled_log"
require "catenary/rails/database_waits"
require "catenary/rails/fresh_thread"
require "catenary/rails/secret"
require "catenary/rails/nonces"
require "catenary/rails/signature"
require "catenary/rails/refusals"
require "catenary/rails/process_name"
require "catenary/rails/puma_worker"
require "catenary/rails/turbo_streams"
require "catenary/rails/stamps"
require "catenary/rails/cable_settings"
require "catenary/rails/settings"
require "catenary/rails/sync"
require "catenary/rails/effects"
require "catenary/rails/coder"
require "catenary/rails/socket"
require "catenary/rails/event_loop"
require "catenary/rails/worker_pool"
require "catenary/rails/pubsub"
require "catenary/rails/server"
require "catenary/rails/unlisted"
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
require "catenary/rails/pending_record"
require "catenary/rails/lookups"
require "catenary/rails/state"
require "catenary/rails/snapshot"
require "catenary/rails/restoration"
require "catenary/rails/call"
require "catenary/rails/framing"
require "catenary/rails/listening"
require "catenary/rails/link"
require "catenary/rails/worker"
require "catenary/rails/awaited_task"
require "catenary/rails/workers"
require "catenary/rails/watch"
require "catenary/rails/handover"
require "catenary/rails/links"
require "catenary/rails/upgrade"
require "catenary/rails/endpoint"
require "catenary/rails/middleware"
require "catenary/rails/railtie"
