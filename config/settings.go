package config

import (
	"strings"
	"time"
)

// setting is one key that may be set.
type setting struct {
	key   string
	kind  kind
	def   any // in the type that the Config has
	usage string

	// variables that set it besides its own CATENARY_ name, the strongest first.
	variables []string
	// variable replaces the CATENARY_ name that follows from the key.
	variable string
	// choices are the only texts allowed.
	choices []string
	// min is the least number, duration or size.
	min int64
	// max is the greatest, if it is not 0.
	max int64

	secret   bool // never printed, and no flag: arguments are seen by every process
	outside  bool // chosen before a file is read, so it stands in none
	fileOnly bool // a structure that neither a flag nor a variable can say
	note     string
}

// settings is every key with its default, in the order in which people read them.
func settings() []setting {
	return []setting{
		{key: "environment", kind: text, def: "development", outside: true, variables: []string{"RAILS_ENV", "RACK_ENV"},
			usage: "Rails environment whose sections are read"},
		{key: "root", kind: text, def: ".", outside: true, usage: "directory of the Rails application"},
		{key: "listen", kind: address, def: ":8080", variables: []string{"PORT"}, note: "in development 127.0.0.1 or BINDING if only a port is given",
			usage: "address for browsers"},
		{key: "paths", kind: list, def: []string{"/cable"}, note: "the gem tells Rails' mount path",
			usage: "where browsers find the cable"},
		{key: "proxy", kind: boolean, def: false, usage: "serve every other path from the backend"},

		{key: "compression", kind: boolean, def: false, usage: "compress long messages for browsers that offer permessage-deflate"},
		{key: "disconnect_frames", kind: boolean, def: true,
			usage: "say why before a connection is closed whose browser should come back; clients from before Rails 6 throw at what is said"},
		{key: "tls.certificate", kind: text, def: "", usage: "PEM file: browsers are served over TLS; read again when it changes"},
		{key: "tls.key", kind: text, def: "", usage: "PEM file of its private key"},
		{key: "trusted_proxies", kind: list, def: []string{"127.0.0.0/8", "::1", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"},
			usage: "networks that are no browsers, and whose X-Forwarded-For counts: for limits per address, and for what is passed on"},
		{key: "allowed_request_origins", kind: list, def: []string(nil), note: "everyone, until Rails decides",
			usage: "origins that may connect, as in Rails; a regular expression stands between slashes"},
		{key: "pass_through", kind: channels, def: []string(nil),
			usage: "channels left to the app's own Action Cable, or all"},

		{key: "backend.url", kind: httpURL, def: "http://127.0.0.1:3000",
			usage: "the Rails application: http, https or unix:///path/to.sock"},
		{key: "backend.secret", kind: text, def: "", secret: true, variable: "CATENARY_SECRET",
			note: "else the application's secret_key_base", usage: "signs the calls to the backend"},
		{key: "backend.transport", kind: text, def: "auto", choices: []string{"auto", "link", "post"},
			usage: "how calls reach the backend: over a link into each of its processes, or by POST; auto takes the link where it can"},
		{key: "backend.restart", kind: text, def: "keep", choices: []string{"keep", "reconnect"},
			usage: "browsers of a process of the backend that is gone stay, or are told to reconnect, as an app needs that counts in a process; over shutdown.drain at most"},
		{key: "backend.timeout", kind: duration, def: 30 * time.Second, min: int64(time.Second),
			usage: "how long a process of the backend may be silent: a linked one that answers no ping, or a POST without an answer"},
		{key: "backend.open_timeout", kind: duration, def: 10 * time.Second, min: 1, usage: "for the answer to a handshake, with the wait for a turn"},
		{key: "backend.queue_timeout", kind: duration, def: 2 * time.Minute, min: 1,
			usage: "how long commands and callbacks wait while the backend cannot be reached or has too much to do"},
		{key: "backend.concurrency", kind: integer, def: 0,
			note: "0 is RAILS_MAX_THREADS × WEB_CONCURRENCY − 1, else 2", usage: "POSTs in flight at once. Each process runs config.catenary.workers calls at once, over links and by POST"},
		{key: "backend.queue", kind: integer, def: 10_000, usage: "calls that may wait, besides ends and broadcasts for blocks, of which each connection has one at most"},

		{key: "broadcasts.adapter", kind: text, def: "redis", choices: []string{"redis", "embedded", "rails"},
			note: "cable.yml's adapter", usage: "where broadcasts are read"},
		{key: "broadcasts.channel_prefix", kind: prefix, def: (*string)(nil), note: "cable.yml's channel_prefix",
			usage: "text before every stream; the empty text is a prefix too"},
		{key: "broadcasts.probe", kind: boolean, def: true, usage: "have Rails broadcast a word now and then: while it does not arrive, /ready says no. false where others than Rails broadcast"},
		{key: "broadcasts.redis.url", kind: redisURL, def: "", secret: true,
			note: "cable.yml's url, else REDIS_URL, else redis://localhost:6379/0", usage: "redis://, rediss:// or unix:///path"},
		{key: "broadcasts.redis.host", kind: text, def: "", usage: "Redis host, if there is no url"},
		{key: "broadcasts.redis.port", kind: integer, def: 0, max: 65535, usage: "Redis port"},
		{key: "broadcasts.redis.path", kind: text, def: "", usage: "Redis' Unix socket"},
		{key: "broadcasts.redis.db", kind: integer, def: 0, usage: "database; publish and subscribe ignore it"},
		{key: "broadcasts.redis.username", kind: text, def: "", usage: "Redis user"},
		{key: "broadcasts.redis.password", kind: text, def: "", secret: true, variables: nil, usage: "Redis password"},
		{key: "broadcasts.redis.ssl", kind: boolean, def: false, usage: "TLS to Redis, as rediss:// says too"},
		{key: "broadcasts.redis.ssl_params.verify_mode", kind: verifyMode, def: "peer", choices: []string{"peer", "none"},
			usage: "check Redis' certificate"},
		{key: "broadcasts.redis.ssl_params.verify_hostname", kind: boolean, def: true, usage: "check the name in Redis' certificate"},
		{key: "broadcasts.redis.ssl_params.ca_file", kind: text, def: "", usage: "authorities that sign Redis' certificate, PEM"},
		{key: "broadcasts.redis.ssl_params.cert", kind: text, def: "", usage: "our certificate, PEM file"},
		{key: "broadcasts.redis.ssl_params.key", kind: text, def: "", usage: "its private key, PEM file"},
		{key: "broadcasts.redis.sentinels", kind: sentinels, def: []map[string]any(nil), fileOnly: true,
			usage: "list of host, port, username, password"},
		{key: "broadcasts.redis.master_name", kind: text, def: "", note: "cable.yml's name, else the host of its url",
			usage: "master that the sentinels know"},
		{key: "broadcasts.redis.sentinel_username", kind: text, def: "", usage: "user for the sentinels"},
		{key: "broadcasts.redis.sentinel_password", kind: text, def: "", secret: true, usage: "password for the sentinels"},
		{key: "broadcasts.redis.cluster", kind: list, def: []string(nil), usage: "host:port of some nodes of a Redis Cluster"},
		{key: "broadcasts.redis.connect_timeout", kind: duration, def: 5 * time.Second, min: 1, usage: "for one connection attempt"},
		{key: "broadcasts.embedded.listen", kind: address, def: "127.0.0.1:6380", usage: "where Rails publishes to catenary"},

		{key: "jwt.secret", kind: text, def: "", secret: true, usage: "checks HS256, HS384 and HS512; with it, or one of the next two, tokens are checked"},
		{key: "jwt.public_keys", kind: list, def: []string(nil), usage: "PEM files that check RS, PS, ES and EdDSA"},
		{key: "jwt.jwks_url", kind: keysURL, def: "", usage: "where an identity provider publishes its keys"},
		{key: "jwt.rotation_secret", kind: text, def: "", secret: true, usage: "a second secret that counts, while secrets are changed"},
		{key: "jwt.algorithms", kind: list, def: []string(nil), note: "HS256 for a secret, RS256 for RSA and JWKS, ES… and EdDSA by the key",
			usage: "algorithms that count"},
		{key: "jwt.required", kind: boolean, def: true, usage: "refuse a browser that has no token"},
		{key: "jwt.query", kind: text, def: "token", usage: "query parameter that holds the token, or off"},
		{key: "jwt.authorization", kind: boolean, def: true, usage: "look at Authorization: Bearer"},
		{key: "jwt.subprotocol", kind: text, def: "", usage: "raw if the token is an extra sub-protocol, or the text before it, such as anycable-token."},
		{key: "jwt.cookie", kind: text, def: "", usage: "cookie that holds the token"},
		{key: "jwt.issuer", kind: text, def: "", usage: "iss that the token must have"},
		{key: "jwt.audience", kind: list, def: []string(nil), usage: "aud of which the token must have one"},
		{key: "jwt.scope", kind: text, def: "", usage: "scp that the token must have"},
		{key: "jwt.expiry_required", kind: boolean, def: true, usage: "refuse a token without exp"},
		{key: "jwt.id_required", kind: boolean, def: false, usage: "refuse a token without jti"},
		{key: "jwt.leeway", kind: duration, def: time.Duration(0), max: int64(time.Hour), usage: "how far clocks may differ"},
		{key: "jwt.identify", kind: identities, def: []string(nil),
			usage: "identifiers of identified_by, made of claims in place of connect: current_user=gid://app/User/{sub}; a mapping in the file"},

		{key: "turbo.verify_streams", kind: boolean, def: false,
			usage: "answer subscriptions to Turbo's streams without Rails, if Turbo::StreamsChannel is turbo-rails' own"},
		{key: "turbo.signed_stream_verifier_key", kind: text, def: "", secret: true,
			note: "made of secret_key_base, as Rails does", usage: "config.turbo.signed_stream_verifier_key, if the app sets it"},

		{key: "limits.max_connections", kind: integer, def: 100_000, min: 1, usage: "browsers at once"},
		{key: "limits.connections_per_address", kind: integer, def: 5000, usage: "browsers at once from one address, and as many TCP connections that are none yet; 0 is no limit"},
		{key: "limits.handshakes_per_second", kind: integer, def: 0, usage: "of all browsers, five seconds' worth at once; 0 is no limit"},
		{key: "limits.handshakes_per_second_per_address", kind: integer, def: 100, usage: "the same for one address"},
		{key: "limits.commands_per_second", kind: integer, def: 200, max: 1_000_000,
			usage: "of one browser, on average; more are read later, none is dropped; 0 is no limit"},
		{key: "limits.commands_burst", kind: integer, def: 1000, usage: "of one browser, at once"},
		{key: "limits.header_bytes", kind: size, def: int64(64 << 10), min: 4096, usage: "longest head of a request, a handshake's too"},
		{key: "limits.header_timeout", kind: duration, def: 10 * time.Second, min: int64(100 * time.Millisecond), usage: "for a request's head, and TLS before it, to come"},
		{key: "limits.memory", kind: size, def: int64(0), note: "0 is the cgroup's limit, except beside a command that catenary starts; else GOMEMLIMIT",
			usage: "bytes that the process may use; near them handshakes are refused and queues of slow browsers given up"},
		{key: "limits.message_bytes", kind: size, def: int64(1 << 20), min: 1024,
			usage: "longest text from a browser; so many bytes of its commands wait for the backend"},
		{key: "limits.message_timeout", kind: duration, def: 2 * time.Minute, min: int64(time.Second), usage: "for a text to come, once it has begun"},
		{key: "limits.subscriptions_per_connection", kind: integer, def: 1000, min: 1, usage: "subscriptions of one browser"},
		{key: "limits.subscription_bytes", kind: size, def: int64(1 << 20), min: 1024, usage: "identifiers of all subscriptions of one browser"},
		{key: "limits.pending_bytes", kind: size, def: int64(4 << 20), min: 64 << 10, usage: "bytes that wait for one slow browser"},
		{key: "limits.pending_commands", kind: integer, def: 256, min: 1, usage: "commands of one browser that wait for the backend"},

		{key: "ping.interval", kind: duration, def: 3 * time.Second, min: int64(100 * time.Millisecond), max: int64(5 * time.Second),
			usage: "between pings; clients give up after 6s"},
		{key: "ping.timeout", kind: duration, def: 30 * time.Second, min: int64(time.Second), max: int64(10 * time.Minute),
			usage: "a browser whose TCP has not acknowledged what it was sent for so long is gone"},
		{key: "nodes.lease", kind: duration, def: 15 * time.Second,
			usage: "how long a node may be silent before others run its callbacks; 0 is for ever, and nothing is kept in Redis"},
		{key: "shutdown.grace", kind: duration, def: 25 * time.Second, usage: "for the whole stop, and then it ends in any case"},
		{key: "shutdown.delay", kind: duration, def: time.Duration(0),
			usage: "from the stop's beginning, when /ready says no, to refusing handshakes: so long load balancers may need to notice"},
		{key: "shutdown.drain", kind: duration, def: 15 * time.Second, note: "less if the grace is short",
			usage: "longest time over which browsers are told to come back, one by one"},
		{key: "log.level", kind: text, def: "info", choices: []string{"debug", "info", "warn", "error"}, variables: []string{"RAILS_LOG_LEVEL"},
			usage: "least important line that is written"},
		{key: "log.format", kind: text, def: "text", choices: []string{"text", "json"}, usage: "how a line looks"},
		{key: "operations.status", kind: boolean, def: true, usage: "serve a status page at / there, and what catenary top shows"},
		{key: "operations.pprof", kind: boolean, def: false, usage: "serve Go's profiles below /debug/pprof/ there"},
		{key: "operations.listen", kind: address, def: "127.0.0.1:9394", usage: "address for probes, metrics and the status page, or off"},

		{key: "telemetry.otlp_endpoint", kind: collectorURL, def: "", variables: []string{"OTEL_EXPORTER_OTLP_ENDPOINT"},
			usage: "an OpenTelemetry collector that takes OTLP over HTTP: traces go to /v1/traces there; empty: there are none"},
		{key: "telemetry.otlp_traces_endpoint", kind: collectorURL, def: "", variables: []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"},
			usage: "the whole URL for traces, instead"},
		{key: "telemetry.broadcasts_one_in", kind: integer, def: 1000, usage: "of so many broadcasts one is traced; 0: none"},
	}
}

// env is the setting's own variable.
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
