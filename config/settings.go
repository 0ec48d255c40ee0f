package config

import (
	"strings"
	"time"
)

// setting is one key that may be set.
type setting struct {
	key   string
	kind  kind
	def   any    // in the type that Config has
	usage string // for --help and docs/configuration.md

	// variables set it besides its own CATENARY_ variable, the strongest first.
	variables []string
	// variable replaces the name of the CATENARY_ variable that follows from the key.
	variable string
	// choices are the only texts allowed.
	choices []string
	// min and max bound a number, duration or size. max 0 is no bound.
	min, max int64

	secret   bool   // never printed, and without a flag: every process on the machine can see arguments
	outside  bool   // chosen before files are read, so that no file can set it
	fileOnly bool   // a list of mappings, for which there is neither flag nor variable
	note     string // on the default, for docs/configuration.md
}

// settings lists every key with its default, in the order of --help and docs/configuration.md.
func settings() []setting {
	return []setting{
		{key: "environment", kind: text, def: "development", outside: true, variables: []string{"RAILS_ENV", "RACK_ENV"},
			usage: "Rails environment: the section to read of each file"},
		{key: "root", kind: text, def: ".", outside: true, usage: "directory of the Rails application"},
		{key: "listen", kind: address, def: ":8080", variables: []string{"PORT"}, note: "in development on 127.0.0.1, or BINDING, if only a port is given",
			usage: "address to which browsers connect"},
		{key: "paths", kind: list, def: []string{"/cable"}, note: "the gem reports where Rails mounts it",
			usage: "paths at which browsers open the cable"},
		{key: "proxy", kind: boolean, def: false, usage: "pass requests for all other paths to Rails"},

		{key: "compression", kind: boolean, def: false, usage: "compress long messages for browsers that offer permessage-deflate"},
		{key: "disconnect_frames", kind: boolean, def: true,
			usage: "send the reason before closing a connection that the browser should reopen; false for clients from before Rails 6, which throw at that frame"},
		{key: "tls.certificate", kind: text, def: "", usage: "PEM file with a certificate, to serve browsers over TLS; reloaded when it changes"},
		{key: "tls.key", kind: text, def: "", usage: "PEM file with its private key"},
		{key: "trusted_proxies", kind: list, def: []string{"127.0.0.0/8", "::1", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"},
			usage: "networks of the proxies in front of catenary, whose X-Forwarded-For counts for limits per address and for what Rails receives"},
		{key: "allowed_request_origins", kind: list, def: []string(nil), note: "any; Rails checks its own list",
			usage: "origins that may connect, written as in Rails with regular expressions between slashes, and checked before Rails is asked"},
		{key: "pass_through", kind: channels, def: []string(nil),
			usage: "classes of channels to relay to the app's own Action Cable, or all for whole connections"},

		{key: "backend.url", kind: httpURL, def: "http://127.0.0.1:3000",
			usage: "URL of the Rails application: http://, https:// or unix:///path/to.sock"},
		{key: "backend.secret", kind: text, def: "", secret: true, variable: "CATENARY_SECRET",
			note: "the application's secret_key_base", usage: "secret that signs calls to Rails"},
		{key: "backend.transport", kind: text, def: "auto", choices: []string{"auto", "link", "post"},
			usage: "how calls reach Rails: link is a standing connection to each Rails process, post is HTTP requests, auto is link where it works and post elsewhere"},
		{key: "backend.restart", kind: text, def: "keep", choices: []string{"keep", "reconnect"},
			usage: "when a Rails process stops, keep leaves its browsers connected and other processes take over; reconnect tells them to reconnect one by one, within shutdown.drain, for apps with state in a process"},
		{key: "backend.timeout", kind: duration, def: 30 * time.Second, min: int64(time.Second),
			usage: "how long a Rails process may take to answer a ping on its link, or a POST"},
		{key: "backend.open_timeout", kind: duration, def: 10 * time.Second, min: 1, usage: "how long a handshake waits for Rails' answer, time in the queue included"},
		{key: "backend.queue_timeout", kind: duration, def: 2 * time.Minute, min: 1,
			usage: "how long commands and disconnect callbacks wait while Rails is busy or down"},
		{key: "backend.concurrency", kind: integer, def: 0,
			note: "0 is RAILS_MAX_THREADS × WEB_CONCURRENCY − 1, else 2", usage: "POSTs in flight at once; links do not count, and config.catenary.workers limits both in each Rails process"},
		{key: "backend.queue", kind: integer, def: 10_000, usage: "calls that may wait for Rails; disconnect callbacks and broadcasts for stream_from blocks do not count"},

		{key: "broadcasts.adapter", kind: text, def: "redis", choices: []string{"redis", "rails"},
			note: "rails if cable.yml has another adapter", usage: "how broadcasts reach catenary: redis subscribes to Redis, rails has Rails forward them"},
		{key: "broadcasts.channel_prefix", kind: prefix, def: (*string)(nil), note: "channel_prefix in cable.yml",
			usage: "prefix of every stream's name, as in cable.yml; the empty string is a prefix too"},
		{key: "broadcasts.probe", kind: boolean, def: true, usage: "have each Rails process broadcast a message every ten seconds, and fail /ready while none arrives; false if only other programs broadcast, through a Redis that Rails does not use"},
		{key: "broadcasts.redis.url", kind: redisURL, def: "", secret: true,
			note: "url in cable.yml, else REDIS_URL, else redis://localhost:6379/0", usage: "URL of Redis: redis://, rediss:// or unix:///path"},
		{key: "broadcasts.redis.host", kind: text, def: "", usage: "host of Redis, if there is no url"},
		{key: "broadcasts.redis.port", kind: integer, def: 0, max: 65535, note: "0 is 6379", usage: "port of Redis"},
		{key: "broadcasts.redis.path", kind: text, def: "", usage: "Unix socket of Redis, in place of host and port"},
		{key: "broadcasts.redis.db", kind: integer, def: 0, usage: "number of the database; broadcasts are the same in all of them"},
		{key: "broadcasts.redis.username", kind: text, def: "", usage: "user name for Redis"},
		{key: "broadcasts.redis.password", kind: text, def: "", secret: true, usage: "password for Redis"},
		{key: "broadcasts.redis.ssl", kind: boolean, def: false, usage: "connect to Redis over TLS, as rediss:// does"},
		{key: "broadcasts.redis.ssl_params.verify_mode", kind: verifyMode, def: "peer", choices: []string{"peer", "none"},
			usage: "peer checks Redis' certificate, none does not"},
		{key: "broadcasts.redis.ssl_params.verify_hostname", kind: boolean, def: true, usage: "check the host name in Redis' certificate"},
		{key: "broadcasts.redis.ssl_params.ca_file", kind: text, def: "", usage: "PEM file with the authorities that sign Redis' certificate"},
		{key: "broadcasts.redis.ssl_params.cert", kind: text, def: "", usage: "PEM file with a client certificate for Redis"},
		{key: "broadcasts.redis.ssl_params.key", kind: text, def: "", usage: "PEM file with its private key"},
		{key: "broadcasts.redis.sentinels", kind: sentinels, def: []map[string]any(nil), fileOnly: true,
			usage: "sentinels, each with host, port, username and password"},
		{key: "broadcasts.redis.master_name", kind: text, def: "", note: "name in cable.yml, else the host of its url",
			usage: "name of the master that the sentinels watch"},
		{key: "broadcasts.redis.sentinel_username", kind: text, def: "", usage: "user name for the sentinels"},
		{key: "broadcasts.redis.sentinel_password", kind: text, def: "", secret: true, usage: "password for the sentinels"},
		{key: "broadcasts.redis.cluster", kind: list, def: []string(nil), usage: "some nodes of a Redis Cluster, host:port each"},
		{key: "broadcasts.redis.connect_timeout", kind: duration, def: 5 * time.Second, min: 1, usage: "how long one attempt to connect to Redis may take"},

		{key: "jwt.secret", kind: text, def: "", secret: true, usage: "secret of tokens signed with HS256, HS384 or HS512; tokens are verified if this, public_keys or jwks_url is set"},
		{key: "jwt.public_keys", kind: list, def: []string(nil), usage: "PEM files with the public keys of tokens signed with RS…, PS…, ES… or EdDSA"},
		{key: "jwt.jwks_url", kind: keysURL, def: "", usage: "URL at which an identity provider publishes its keys (JWKS)"},
		{key: "jwt.rotation_secret", kind: text, def: "", secret: true, usage: "second secret that is accepted while you change jwt.secret"},
		{key: "jwt.algorithms", kind: list, def: []string(nil), note: "HS256 for a secret, RS256 for RSA and JWKS, ES… and EdDSA by the key",
			usage: "algorithms that are accepted"},
		{key: "jwt.required", kind: boolean, def: true, usage: "reject browsers without a token"},
		{key: "jwt.query", kind: text, def: "token", usage: "query parameter with the token, or off"},
		{key: "jwt.authorization", kind: boolean, def: true, usage: "accept a token in the header Authorization: Bearer"},
		{key: "jwt.subprotocol", kind: text, def: "", usage: "accept a token in Sec-WebSocket-Protocol: raw for a token alone, else the prefix of the sub-protocol with the token, such as anycable-token."},
		{key: "jwt.cookie", kind: text, def: "", usage: "cookie with the token"},
		{key: "jwt.issuer", kind: text, def: "", usage: "iss claim that a token must have"},
		{key: "jwt.audience", kind: list, def: []string(nil), usage: "aud claims, of which a token must have one"},
		{key: "jwt.scope", kind: text, def: "", usage: "scp claim that a token must have"},
		{key: "jwt.expiry_required", kind: boolean, def: true, usage: "reject tokens without an exp claim"},
		{key: "jwt.id_required", kind: boolean, def: false, usage: "reject tokens without a jti claim"},
		{key: "jwt.leeway", kind: duration, def: time.Duration(0), max: int64(time.Hour), usage: "how far clocks may differ when a token's times are checked"},
		{key: "jwt.identify", kind: identities, def: []string(nil),
			usage: "identifiers (identified_by) made from claims, in place of the app's connect: current_user=gid://app/User/{sub}; in catenary.yml a mapping"},

		{key: "turbo.verify_streams", kind: boolean, def: false,
			usage: "answer subscriptions to Turbo's streams without Rails, if the app leaves Turbo::StreamsChannel as it is"},
		{key: "turbo.catch_up", kind: text, def: "none", choices: []string{"none", "refresh"},
			usage: "refresh has a Turbo page that was away load again, once; Rails must read the same setting, so write it into config/catenary.yml"},
		{key: "turbo.signed_stream_verifier_key", kind: text, def: "", secret: true,
			note: "derived from secret_key_base, as in Rails", usage: "config.turbo.signed_stream_verifier_key, if the app sets it"},

		{key: "limits.max_connections", kind: integer, def: 100_000, min: 1, usage: "connections at once"},
		{key: "limits.connections_per_address", kind: integer, def: 5000, usage: "connections at once from one address, and as many TCP connections before their handshake; 0 is no limit"},
		{key: "limits.handshakes_per_second", kind: integer, def: 0, usage: "handshakes per second, in bursts of up to five seconds' worth; 0 is no limit"},
		{key: "limits.handshakes_per_second_per_address", kind: integer, def: 100, usage: "handshakes per second from one address, in the same bursts; 0 is no limit"},
		{key: "limits.commands_per_second", kind: integer, def: 200, max: 1_000_000,
			usage: "commands per second from one browser, on average; more are delayed, none is dropped; 0 is no limit"},
		{key: "limits.commands_burst", kind: integer, def: 1000, usage: "commands that one browser may send at once"},
		{key: "limits.header_bytes", kind: size, def: int64(64 << 10), min: 4096, usage: "largest header of a request, handshakes included"},
		{key: "limits.header_timeout", kind: duration, def: 10 * time.Second, min: int64(100 * time.Millisecond), usage: "how long a request's header may take to arrive, TLS handshake included"},
		{key: "limits.memory", kind: size, def: int64(0), note: "0 is the cgroup's limit, except beside a command that catenary starts; else GOMEMLIMIT",
			usage: "memory that the process may use; from three quarters on, handshakes are rejected and the slowest browsers disconnected"},
		{key: "limits.message_bytes", kind: size, def: int64(1 << 20), min: 1024,
			usage: "largest message from a browser; also the bytes of its commands that may wait for Rails"},
		{key: "limits.message_timeout", kind: duration, def: 2 * time.Minute, min: int64(time.Second), usage: "how long a message may take to arrive after its first byte"},
		{key: "limits.subscriptions_per_connection", kind: integer, def: 1000, min: 1, usage: "subscriptions of one browser"},
		{key: "limits.subscription_bytes", kind: size, def: int64(1 << 20), min: 1024, usage: "bytes of the identifiers of all subscriptions of one browser"},
		{key: "limits.pending_bytes", kind: size, def: int64(4 << 20), min: 64 << 10, usage: "bytes that may wait for a slow browser before it is disconnected"},
		{key: "limits.pending_commands", kind: integer, def: 256, min: 1, usage: "commands of one browser that may wait for Rails"},

		{key: "ping.interval", kind: duration, def: 3 * time.Second, min: int64(100 * time.Millisecond), max: int64(5 * time.Second),
			usage: "time between pings; browsers reconnect after 6s without one"},
		{key: "ping.timeout", kind: duration, def: 30 * time.Second, min: int64(time.Second), max: int64(10 * time.Minute),
			usage: "how long a browser may leave TCP data unacknowledged before its connection is closed"},
		{key: "nodes.lease", kind: duration, def: 15 * time.Second,
			usage: "how long after a node's last heartbeat other nodes run its disconnect callbacks; 0 is never, and then nothing is kept in Redis"},
		{key: "shutdown.grace", kind: duration, def: 25 * time.Second, usage: "how long the whole shutdown may take; then catenary exits in any case"},
		{key: "shutdown.delay", kind: duration, def: time.Duration(0),
			usage: "how long handshakes are still accepted after /ready fails, so that load balancers can notice"},
		{key: "shutdown.drain", kind: duration, def: 15 * time.Second, note: "less if the grace is short",
			usage: "longest time over which browsers are told to reconnect, one by one"},
		{key: "log.level", kind: text, def: "info", choices: []string{"debug", "info", "warn", "error"}, variables: []string{"RAILS_LOG_LEVEL"},
			usage: "lowest level that is logged: debug, info, warn or error"},
		{key: "log.format", kind: text, def: "text", choices: []string{"text", "json"}, usage: "format of the log: text or json"},
		{key: "operations.status", kind: boolean, def: true, usage: "serve the status page at / of operations.listen, and the data of catenary top"},
		{key: "operations.pprof", kind: boolean, def: false, usage: "serve Go's profiles at /debug/pprof/ of operations.listen"},
		{key: "operations.listen", kind: address, def: "127.0.0.1:9394", usage: "address for probes, metrics and the status page, or off"},

		{key: "telemetry.otlp_endpoint", kind: collectorURL, def: "", variables: []string{"OTEL_EXPORTER_OTLP_ENDPOINT"},
			usage: "URL of an OpenTelemetry collector (OTLP over HTTP), which receives traces at /v1/traces; without it there are no traces"},
		{key: "telemetry.otlp_traces_endpoint", kind: collectorURL, def: "", variables: []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"},
			usage: "whole URL for traces, in place of the one above"},
		{key: "telemetry.broadcasts_one_in", kind: integer, def: 1000, usage: "trace one of this many broadcasts; 0 is none"},
	}
}

// env is the setting's CATENARY_ variable.
func (s setting) env() string {
	if s.variable != "" {
		return s.variable
	}
	return "CATENARY_" + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

// flag is the setting's flag without dashes, or "" if it has none.
func (s setting) flag() string {
	if s.secret && s.kind != redisURL || s.fileOnly {
		return ""
	}
	return strings.NewReplacer(".", "-", "_", "-").Replace(s.key)
}

func settingsByKey() map[string]setting {
	byKey := map[string]setting{}
	for _, s := range settings() {
		byKey[s.key] = s
	}
	return byKey
}
