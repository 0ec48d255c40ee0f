package config

import (
	"slices"
	"strings"
	"time"
)

// Config is the whole configuration, checked. [Load] makes it.
type Config struct {
	// Environment is the Rails environment: production, development, …
	Environment string
	// Root is the application's directory.
	Root string
	// Listen is the address for browsers, "host:port".
	Listen string
	// Paths are where browsers open the cable, as Rails' mount_path.
	Paths []string
	// Proxy passes requests for every other path to Rails.
	Proxy bool
	// PassThrough are classes of channels that are relayed to the application's own Action Cable,
	// or "all": see [Config.PassesAll].
	PassThrough []string `mapstructure:"pass_through"`

	// Compression is permessage-deflate for browsers that offer it.
	Compression bool
	// DisconnectFrames tell browsers why their connection closes if they should reconnect. Clients
	// from before Rails 6 do not know these frames.
	DisconnectFrames bool `mapstructure:"disconnect_frames"`

	TLS TLS
	// TrustedProxies are networks of proxies, whose X-Forwarded-For counts.
	TrustedProxies []string `mapstructure:"trusted_proxies"`
	// AllowedRequestOrigins are the origins that may connect. Empty: only Rails checks origins.
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

	// Warnings are for the log: values that work but may surprise.
	Warnings []string `mapstructure:"-"`

	// Unread is why catenary cannot read a value of config/cable.yml that it needs, so that Rails
	// has to report it. It is nil if catenary can read all that it needs.
	Unread error `mapstructure:"-"`

	origins map[string]string // key → place, such as config/catenary.yml:12
}

// TLS is the certificate for browsers. Empty: plain HTTP.
type TLS struct {
	Certificate string
	Key         string
}

// Backend is the Rails application that answers calls.
type Backend struct {
	// URL is http://, https:// or unix:///path/to.sock.
	URL string
	// Secret signs the calls. It may be empty: see [Config.RequireSecret].
	Secret Secret `mapstructure:"-"`
	// Transport is "auto", "link" or "post".
	Transport string
	// Restart is "keep" or "reconnect".
	Restart string
	// Timeout is how long a Rails process may take to answer a ping on its link, or a POST.
	Timeout time.Duration
	// OpenTimeout is how long a handshake waits for Rails' answer, time in the queue included.
	OpenTimeout time.Duration `mapstructure:"open_timeout"`
	// QueueTimeout is how long commands and callbacks wait in the queue while Rails is busy or
	// down.
	QueueTimeout time.Duration `mapstructure:"queue_timeout"`
	// Concurrency is how many POSTs are in flight at most, at least 1.
	Concurrency int
	// Queue is how many calls may wait.
	Queue int
}

// Broadcasts is where catenary receives the application's broadcasts.
type Broadcasts struct {
	// Adapter is "redis" or "rails".
	Adapter string
	// ChannelPrefix has three states, as in Rails: nil is no prefix, while "" puts a colon before
	// every stream.
	ChannelPrefix *string `mapstructure:"channel_prefix"`
	// Probe has every Rails process broadcast a message every ten seconds and checks that it
	// arrives.
	Probe bool
	Redis Redis
}

// Turbo is what catenary does for Turbo's streams besides serving them.
type Turbo struct {
	// VerifyStreams has catenary verify their signed names itself.
	VerifyStreams bool `mapstructure:"verify_streams"`
	// CatchUp is "refresh" or "none".
	CatchUp string `mapstructure:"catch_up"`
	// Key verifies them. If it is missing, catenary derives one from SecretKeyBase.
	Key           Secret `mapstructure:"-"`
	SecretKeyBase Secret `mapstructure:"-"`
}

// Limits bound what browsers can use. Rails has none of them; the defaults are well above what
// applications use.
type Limits struct {
	MaxConnections             int   `mapstructure:"max_connections"`
	MessageBytes               int64 `mapstructure:"message_bytes"`
	SubscriptionsPerConnection int   `mapstructure:"subscriptions_per_connection"`

	// For these, 0 is no limit.
	ConnectionsPerAddress         int `mapstructure:"connections_per_address"`
	HandshakesPerSecond           int `mapstructure:"handshakes_per_second"`
	HandshakesPerSecondPerAddress int `mapstructure:"handshakes_per_second_per_address"`
	CommandsPerSecond             int `mapstructure:"commands_per_second"`
	// CommandsBurst is how many commands may come at once.
	CommandsBurst int `mapstructure:"commands_burst"`

	// Memory is how many bytes the process may use. 0: as many as the control group allows.
	Memory int64
	// PendingBytes may wait for one slow browser.
	PendingBytes int64 `mapstructure:"pending_bytes"`
	// HeaderBytes and HeaderTimeout bound the head of a request.
	HeaderBytes   int64         `mapstructure:"header_bytes"`
	HeaderTimeout time.Duration `mapstructure:"header_timeout"`
	// MessageTimeout bounds the time from the first byte of a message to its last.
	MessageTimeout time.Duration `mapstructure:"message_timeout"`
	// SubscriptionBytes bounds the identifiers of one connection's subscriptions, all together.
	SubscriptionBytes int64 `mapstructure:"subscription_bytes"`
	// PendingCommands of one connection may wait for Rails.
	PendingCommands int `mapstructure:"pending_commands"`
}

// Ping is the heartbeat. @rails/actioncable reconnects after 6 s without a frame.
type Ping struct {
	Interval time.Duration
	// Timeout is how long a browser's TCP may take to acknowledge data.
	Timeout time.Duration
}

// Nodes is what the nodes of one application do for each other.
type Nodes struct {
	// Lease is how long after a node's last renewal others run its disconnect callbacks. 0: never.
	Lease time.Duration
}

// Shutdown is how catenary stops.
type Shutdown struct {
	// Grace bounds the whole stop. Platforms often kill after 30 s.
	Grace time.Duration
	// Delay is the first part, in which load balancers notice, and nothing else changes.
	Delay time.Duration
	// Drain is the longest time over which browsers are disconnected, one by one. The rest of the
	// grace is for Rails to run disconnect callbacks.
	Drain time.Duration
}

// Log is how much catenary logs, and how.
type Log struct {
	// Level is debug, info, warn or error.
	Level string
	// Format is text or json.
	Format string
}

// Operations is the listener for probes and metrics. Listen is empty if there is none.
type Operations struct {
	Listen string
	// Status serves the status page.
	Status bool
	// Pprof serves Go's profiles, which show what the process has in memory.
	Pprof bool
}

// Telemetry is where OpenTelemetry traces are sent. Without an endpoint there are none.
type Telemetry struct {
	// OTLPEndpoint is a collector's base URL, to which /v1/traces is added.
	OTLPEndpoint string `mapstructure:"otlp_endpoint"`
	// OTLPTracesEndpoint is the whole URL instead.
	OTLPTracesEndpoint string `mapstructure:"otlp_traces_endpoint"`
	// BroadcastsOneIn n traces one of n broadcasts. 0: none.
	BroadcastsOneIn int `mapstructure:"broadcasts_one_in"`
}

// PassesAll reports whether whole connections are relayed to the application's own Action Cable.
// Then catenary needs no gem, no secret and no Redis.
func (c *Config) PassesAll() bool { return slices.Contains(c.PassThrough, allChannels) }

// Given reports whether a key, or any key below it, is set anywhere: in a file, in the environment,
// on the command line or by Rails.
func (c *Config) Given(key string) bool {
	for given := range c.origins {
		if given == key || strings.HasPrefix(given, key+".") {
			return true
		}
	}
	return false
}

// Origin is the place where the value of a key was read, such as config/catenary.yml:3.
func (c *Config) Origin(key string) string {
	if origin := c.origins[key]; origin != "" {
		return origin
	}
	return "the default"
}

// Origins of a backend.concurrency that catenary has worked out.
const (
	threadsOfEnvironment = "RAILS_MAX_THREADS"
	threadsOfRails       = "Rails' threads minus one"
)

// FixesConcurrency reports whether backend.concurrency is set. Otherwise it follows Rails' threads.
func (c *Config) FixesConcurrency() bool {
	origin, given := c.origins["backend.concurrency"]
	return given && origin != threadsOfEnvironment && origin != threadsOfRails
}
