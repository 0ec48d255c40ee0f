module Catenary
  module Rails
    module Audit
      NOTHING = "nothing to do"
      PIN = "pin: catenary does so by itself, or %{pass_through}"
      PINNED = "Ruby runs for every broadcast, in the Rails process that opened the stream; " \
        "when that process stops, the browser has to reconnect"
      REBUILT = "when that is rebuilt, in another process or after a pause,"
      UNSET = "kept on the live object; #{REBUILT} it is unset, with a warning"
      COME_BACK = "backend.restart: reconnect, with which browsers come back as natively"
      IDENTIFY = "change: identify by a record or a scalar"
      TURBO = "a page has one subscription for each turbo_stream_from; each is a call to Rails when it begins and when it ends"
      NATIVE = "natively too"

      # All that the audit can report: rule, what the code runs as, what that means and what to do.
      CATALOGUE = {
        timer: ["timers", "timers", "catenary ticks it, never twice at once; each tick of each subscription is a call to Rails", NOTHING],
        beat: ["heartbeat", "timers",
          "catenary pings by itself; for what else it does, every connection is a call to Rails every three seconds", NOTHING],
        no_pings: ["heartbeat", "plain", "has no effect: the connections, and so the pings, are catenary's",
          "change: ping.interval in config/catenary.yml"],

        stream: ["stream blocks", "pinned", PINNED, PIN],
        stream_of_others: ["stream blocks", "pinned", "the channel that it is opened for is pinned: #{PINNED}", PIN],
        subscribe: ["stream blocks", "pinned", "a handler of its own: #{PINNED}", PIN],
        gets_channel: ["stream blocks", "pinned", "at %{place} it opens a %{stream}: #{PINNED}", PIN],
        delivery: ["delivery", "pinned", "every message of every stream goes through it: #{PINNED}", PIN],
        delivery_of_all: ["delivery", "pinned", "every message of every stream goes through it: #{PINNED}",
          "pin: catenary does so by itself, or change: do it where the message is made"],
        query: ["graphql-ruby", "pinned",
          "the schema keeps this channel and its queries in memory and runs them for each event: #{PINNED}",
          "#{PIN}, or change: graphql-anycable's store"],
        schema: ["graphql-ruby", "pinned",
          "channels that execute subscriptions are pinned to the process that has their queries in memory",
          "pin: catenary does so by itself"],

        kept: ["unserialisable state", "live state", UNSET,
          "change: make it where it is used, with ||= at the least, or %{pass_through}"],
        kept_relation: ["unserialisable state", "live state", UNSET,
          "change: keep records (to_a) or what the query is made of, or %{pass_through}"],
        kept_hash: ["unserialisable state", "live state", "kept on the live object; #{REBUILT} the hash comes back without its block",
          "change: fetch with a default, or %{pass_through}"],
        identifier: ["identified_by", "live state", "kept on the live object; #{REBUILT} the browser has to reconnect", IDENTIFY],
        identifier_hash: ["identified_by", "live state", "kept on the live object; #{REBUILT} the hash comes back without its block", IDENTIFY],
        identifier_object: ["identified_by", "plain",
          "not a record, so it is marshalled, and its to_s names the connection for remote disconnects",
          "nothing to do if it can be marshalled and has a to_s of its own; else #{IDENTIFY}"],
        class_state: ["class state", "plain", "is in one Rails process; when that restarts its browsers stay, and a process " \
          "that has not counted them counts them off", "change: keep it where all processes see it, or #{COME_BACK}"],

        socket: ["@websocket", "pass-through",
          "the socket is catenary's: what stands in for it can transmit and close, and has no driver or stream to reach",
          "%{pass_through}; if it is to find dead sockets, change: drop it, catenary finds those itself"],
        event_loop: ["event loop", "cannot work",
          "it never fires: the event loop belongs to the process that has the sockets", "change: periodically"],
        connections: ["server connections", "cannot work", "always empty: the connections are catenary's",
          "change: count with catenary's metrics, or keep count in connect and disconnect"],
        siblings: ["subscriptions", "plain", "has all of the connection's subscriptions, on the live object and when it is rebuilt; " \
          "not those that are passed through", NOTHING],
        endless: ["endless loops", "pass-through", "commands of one browser run one after the other: while it loops, no other " \
          "command of that browser runs, and it occupies one of config.catenary.workers",
          "%{pass_through}, or change: periodically, or a thread"],
        thread: ["threads", "plain", "what it transmits and which streams it starts after the command reaches the browser; " \
          "what it assigns may miss an object that is rebuilt elsewhere", NOTHING],

        overridden: ["overridden", "plain", "runs as natively", NOTHING],
        overridden_rebuilt: ["overridden", "plain", "runs again whenever the objects of a connection are rebuilt, in another " \
          "process or after a pause", NOTHING],
        overridden_work: ["overridden", "plain", "does not run for messages that reach browsers without Ruby, and again when " \
          "the objects of a connection are rebuilt", NOTHING],
        overridden_close: ["overridden", "plain", "runs when catenary reports the disconnect; the code is 1006 where the " \
          "browser sent no close frame", NOTHING],
        overridden_error: ["overridden", "plain", "runs right before on_close, with another text than natively", NOTHING],
        overridden_dispatch: ["overridden", "plain", "runs as natively, and once more, around no command, when a rebuilt " \
          "connection closes whose records can only be found inside of it", NOTHING],
        overridden_list: ["overridden", "plain", "the list of connections is empty also in here: they are catenary's", NOTHING],
        overridden_socket: ["overridden", "plain", "has no effect: sockets and subscriptions are catenary's", NOTHING],

        turbo: ["turbo", "plain", "#{TURBO}; broadcasts cost Rails nothing",
          "nothing to do, or turbo.verify_streams: true, with which catenary answers them"],
        turbo_changed: ["turbo", "plain", "#{TURBO}, also with turbo.verify_streams, because %{change}", NOTHING],
        turbo_custom: ["turbo", "plain", "#{TURBO}, also with turbo.verify_streams, which is for Turbo::StreamsChannel alone", NOTHING],

        argument: ["mistake", "plain", "Rails passes none: ArgumentError at every call, #{NATIVE}", "change: def %{name}"],
        no_data: ["mistake", "plain", "Rails passes the data only to methods with exactly one required parameter, #{NATIVE}",
          "change: def %{name}(data), or make it private"],
        super: ["mistake", "plain", "Rails before 8.2 has no connect to call: NoMethodError for every browser, #{NATIVE}", "change: leave super out"],
        reject: ["mistake", "plain",
          "reject does not return: the stream is opened, and natively a rejected browser may receive its messages",
          "change: return reject"],
        not_rescued: ["mistake", "plain", "rescue_from (%{place}) is not for subscribed: after an exception the browser is neither " \
          "confirmed nor rejected, #{NATIVE}", "change: rescue in subscribed, or find_by and reject"],

        worker_pool: ["worker pool", "plain", "commands run on as many threads of the gem's own in each Rails process, unless " \
          "config.catenary.workers says another number", NOTHING],
        notifications: ["notifications", "plain", "reports what channels transmit, and no broadcast that reaches browsers without Ruby",
          "change: catenary's metrics count those"],
        boot: ["boot", "plain", "runs when a Rails process boots, and browsers stay connected then: if it resets who is present, " \
          "they are missing from there on", "change: let entries expire, or #{COME_BACK}"],
        adapter: ["cable.yml", "plain", "in %{environment} Rails listens for catenary through this adapter, in one process for " \
          "each stream, which needs links (backend.transport: auto)", NOTHING],
        adapter_local: ["cable.yml", "plain", "in %{environment} a broadcast stays in the Rails process that makes it, as natively: " \
          "none arrives from jobs, consoles and other processes", "change: adapter: redis"],
        adapter_missing: ["cable.yml", "plain", "in %{environment} the adapter cannot be loaded here: %{error}",
          "change: add its gem, unless that is in another group of the Gemfile"],
        adapter_deaf: ["cable.yml", "cannot work", "in %{environment} catenary receives no broadcast: %{reason}", "change: adapter: redis"],

        loading: ["loading", "cannot work", "it does not load, so the audit knows nothing of it",
          "change: until bin/rails zeitwerk:check passes"],
        database: ["loading", "plain", "it does not load without the database, so the audit knows nothing of it",
          "audit where the database is"]
      }.freeze
    end
  end
end
