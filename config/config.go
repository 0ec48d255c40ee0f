package config

import "time"

// Config is the whole configuration, checked. Load makes it.
type Config struct {
	// Environment is the Rails environment: production, development, …
	Environment string
	// Root is the application's directory.
	Root string
	// Listen is the address for browsers, "host:port".
	Listen string
	// Paths are where browsers find the cable, as Rails' mount_path.
	Paths []string
	// Proxy serves every other path from the backend.
	Proxy bool
	// PassThrough are classes of channels that are relayed to the application's
	// own Action Cable, or "all": see [Config.PassesAll].
	PassThrough []string `mapstructure:"pass_through"`

	// Compression is permessage-deflate for browsers that offer it.
	Compression bool

	// DisconnectFrames tell browsers why their connection is closed, if they should
	// come back. Clients from before Rails 6 do not know them.
	DisconnectFrames bool `mapstructure:"disconnect_frames"`

	TLS TLS
	// TrustedProxies are networks that are no browsers.
	TrustedProxies []string `mapstructure:"trusted_proxies"`
	// AllowedRequestOrigins may connect; empty: Rails decides alone.
	AllowedRequestOrigins []string `mapstructure:"allowed_request_origins"`

	Backend    Backend
	Broadcasts Broadcasts
	JWT        JWT
	Turbo      Turbo
	Limits     Limits
	Ping       Ping
	Nodes      Nodes
	Shutdown   Shutdown
	Log        Log
	Operations Operations
	Telemetry  Telemetry

	// Warnings are for the log: nothing that stops, all that may surprise.
	Warnings []string `mapstructure:"-"`

	// Unread is why config/cable.yml does not say all that counts: only Rails can
	// tell, who is asked then. nil: it does.
	Unread error `mapstructure:"-"`

	origins map[string]string
}

// Backend is the Rails application that answers our calls.
type Backend struct {
	// URL is http://, https:// or unix:///path/to.sock.
	URL string
	// Secret signs the calls. It may be empty: see [Config.RequireSecret].
	Secret Secret `mapstructure:"-"`
	// Transport is "auto", "link" or "post".
	Transport string
	// Restart is "keep" or "reconnect".
	Restart string
	// Timeout is how long Rails may be silent: a process that does not answer pings, or a POST without an answer.
	Timeout time.Duration
	// OpenTimeout is for a handshake's answer, with the wait for a turn.
	OpenTimeout time.Duration `mapstructure:"open_timeout"`
	// QueueTimeout is how long commands and callbacks wait in the queue while Rails is busy or down.
	QueueTimeout time.Duration `mapstructure:"queue_timeout"`
	// Concurrency is how many POSTs may be in flight, at least 1.
	Concurrency int
	// Queue is how many calls may wait.
	Queue int
}

// Broadcasts is where the application's broadcasts are read.
type Broadcasts struct {
	// Adapter is "redis", "embedded" or "rails".
	Adapter string
	// ChannelPrefix has three states, as in Rails: nil is no prefix, while ""
	// puts a colon before every stream.
	ChannelPrefix *string `mapstructure:"channel_prefix"`
	// Probe has every Rails process broadcast a message every ten seconds and checks that it arrives.
	Probe    bool
	Redis    Redis
	Embedded Embedded
}

// Embedded is the Redis that catenary itself plays for Rails.
type Embedded struct {
	Listen string
}

// Limits bound what browsers can take. Rails has none of them; the defaults do
// not touch an honest application.
type Limits struct {
	MaxConnections             int   `mapstructure:"max_connections"`
	MessageBytes               int64 `mapstructure:"message_bytes"`
	SubscriptionsPerConnection int   `mapstructure:"subscriptions_per_connection"`

	// Of these, 0 is no limit.
	ConnectionsPerAddress         int `mapstructure:"connections_per_address"`
	HandshakesPerSecond           int `mapstructure:"handshakes_per_second"`
	HandshakesPerSecondPerAddress int `mapstructure:"handshakes_per_second_per_address"`
	CommandsPerSecond             int `mapstructure:"commands_per_second"`
	// CommandsBurst may come at once.
	CommandsBurst int `mapstructure:"commands_burst"`

	// Memory is what the process may use; 0: what the control group allows.
	Memory int64
	// PendingBytes may wait for one slow browser.
	PendingBytes int64 `mapstructure:"pending_bytes"`
	// HeaderBytes and HeaderTimeout bound the head of a request.
	HeaderBytes   int64         `mapstructure:"header_bytes"`
	HeaderTimeout time.Duration `mapstructure:"header_timeout"`
	// MessageTimeout is for the rest of a text of which the beginning has come.
	MessageTimeout time.Duration `mapstructure:"message_timeout"`
	// SubscriptionBytes are the identifiers of one connection's subscriptions.
	SubscriptionBytes int64 `mapstructure:"subscription_bytes"`
	// PendingCommands of one connection may wait for the backend.
	PendingCommands int `mapstructure:"pending_commands"`
}

// Ping is the heartbeat; @rails/actioncable gives up after 6 s of silence.
type Ping struct {
	Interval time.Duration
	// Timeout is for the browser's TCP to acknowledge what it was sent.
	Timeout time.Duration
}

// Shutdown is how catenary ends.
type Shutdown struct {
	// Grace is for all of it; platforms often kill after 30 s.
	Grace time.Duration
	// Delay comes first: load balancers notice, and nothing else changes.
	Delay time.Duration
	// Drain is the longest time over which browsers are told, one by one. The
	// rest of the grace is for Rails, to hear of their ends.
	Drain time.Duration
}

// Log is how catenary speaks of itself.
type Log struct {
	// Level is debug, info, warn or error.
	Level string
	// Format is text or json.
	Format string
}

// Operations is the listener for probes and metrics; empty means none.
type Operations struct {
	Listen string
	// Status serves a page there that shows how catenary is doing.
	Status bool
	// Pprof serves profiles there. They show what the process holds in memory.
	Pprof bool
}

// Telemetry is where traces go, as OpenTelemetry has it; without an endpoint
// there are none.
type Telemetry struct {
	// OTLPEndpoint is a collector's base URL, to which /v1/traces is added.
	OTLPEndpoint string `mapstructure:"otlp_endpoint"`
	// OTLPTracesEndpoint is the whole URL instead.
	OTLPTracesEndpoint string `mapstructure:"otlp_traces_endpoint"`
	// BroadcastsOneIn is of how many broadcasts one is traced; 0: none.
	BroadcastsOneIn int `mapstructure:"broadcasts_one_in"`
}
