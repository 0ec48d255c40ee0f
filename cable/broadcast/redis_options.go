package broadcast

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// RedisOptions locate and configure Redis. The names are those of config/cable.yml. As in the redis
// gem, a field takes precedence over the same part of URL; without URL, Host, Path, Sentinels and
// Cluster the address is localhost:6379.
type RedisOptions struct {
	URL      string // redis://, rediss:// or unix://; query parameters are ignored, as in Ruby
	Host     string
	Port     int
	Path     string // of a Unix socket
	DB       *int   // selected because Rails does; pub/sub is the same in all databases
	Username string
	Password string

	TLS RedisTLS

	Sentinels        []string // host:port
	MasterName       string   // default: the URL's host
	SentinelUsername string
	SentinelPassword string

	Cluster []string // host:port of some nodes

	ChannelPrefix *string // nil: none; empty: ":stream"
	ClientName    string  // CLIENT SETNAME; empty: none

	Timeout       time.Duration // to connect, and for each call and write; default 5 s
	ProbeEvery    time.Duration // between probes that broadcasts arrive; default 5 s
	ProbeDeadline time.Duration // of silence after a probe before the listener is replaced; default 3 s
	MaxPayload    int           // bytes; larger broadcasts are dropped with a warning; default 16 MiB

	// Lost and Restored report each gap in which broadcasts may be missed. Run's goroutine calls
	// them. Either may be nil.
	Lost     func(cause error)
	Restored func(gap time.Duration)
}

// RedisTLS is the redis gem's ssl and ssl_params. rediss:// enables it too.
type RedisTLS struct {
	Enabled    bool
	SkipVerify bool   // verify_mode: 0, common with Heroku's self-signed certificates
	SkipName   bool   // verify_hostname: false; the certificate must still be trusted
	CAFile     string // PEM, instead of the system's authorities
	CertFile   string // PEM, of the client
	KeyFile    string
	ServerName string // default: the host
}

func (o RedisOptions) withDefaults() RedisOptions {
	setDefault(&o.Timeout, 5*time.Second)
	setDefault(&o.ProbeEvery, 5*time.Second)
	setDefault(&o.ProbeDeadline, 3*time.Second)
	setDefault(&o.MaxPayload, 16<<20)
	if o.Lost == nil {
		o.Lost = func(error) {}
	}
	if o.Restored == nil {
		o.Restored = func(time.Duration) {}
	}
	return o
}

func setDefault[T int | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// server merges URL and fields into the options of a single Redis server.
func (o RedisOptions) server() (*redis.Options, error) {
	server := &redis.Options{Addr: "localhost:6379"}
	if o.URL != "" {
		var err error
		server, err = parseRedisURL(o.URL)
		if err != nil {
			return nil, err
		}
	}
	switch {
	case o.Path != "":
		server.Network = "unix"
		server.Addr = o.Path
		server.TLSConfig = nil
	case o.Host != "" || o.Port != 0:
		host, port, err := net.SplitHostPort(server.Addr)
		if err != nil {
			host, port = "localhost", "6379"
		}
		if o.Host != "" {
			host = o.Host
		}
		if o.Port != 0 {
			port = strconv.Itoa(o.Port)
		}
		server.Network = "tcp"
		server.Addr = net.JoinHostPort(host, port)
	}
	if o.Username != "" {
		server.Username = o.Username
	}
	if o.Password != "" {
		server.Password = o.Password
	}
	if o.DB != nil {
		server.DB = *o.DB
	}
	if o.TLS.Enabled || server.TLSConfig != nil {
		config, err := o.TLS.config(server.Addr)
		if err != nil {
			return nil, err
		}
		server.TLSConfig = config
	}
	return server, nil
}

// parseRedisURL never includes a password in its error.
func parseRedisURL(raw string) (*redis.Options, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("invalid Redis URL: use redis://[user:password@]host[:port][/db], " +
			"rediss:// for TLS or unix:///path, and percent-encode special characters in the password")
	}
	u.RawQuery = ""
	server, err := redis.ParseURL(u.String())
	if err != nil {
		u.User = nil
		return nil, fmt.Errorf("unsupported Redis URL %s: use redis://[user:password@]host[:port][/db], "+
			"rediss:// for TLS or unix:///path", u)
	}
	return server, nil
}

func (t RedisTLS) config(addr string) (*tls.Config, error) {
	name := t.ServerName
	if name == "" {
		name, _, _ = net.SplitHostPort(addr)
	}
	config := &tls.Config{ServerName: name, InsecureSkipVerify: t.SkipVerify, MinVersion: tls.VersionTLS12}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("reading the CA file for Redis: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("the CA file for Redis, %s, contains no PEM certificate", t.CAFile)
		}
	}
	if t.SkipName && !t.SkipVerify {
		config.InsecureSkipVerify = true // turns off all checks; VerifyConnection does all but the name's
		config.VerifyConnection = func(state tls.ConnectionState) error {
			options := x509.VerifyOptions{Roots: config.RootCAs, Intermediates: x509.NewCertPool()}
			for _, certificate := range state.PeerCertificates[1:] {
				options.Intermediates.AddCert(certificate)
			}
			_, err := state.PeerCertificates[0].Verify(options)
			return err
		}
	}
	if t.CertFile != "" || t.KeyFile != "" {
		certificate, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("reading the client certificate for Redis: %w", err)
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	return config, nil
}

// Client returns a go-redis client, which connects on first use. It speaks RESP2, which every
// server supports and which is enough for pub/sub.
func (o RedisOptions) Client() (redis.UniversalClient, error) {
	server, err := o.server()
	if err != nil {
		return nil, err
	}
	switch {
	case len(o.Sentinels) > 0:
		master := o.MasterName
		if master == "" {
			master, _, _ = net.SplitHostPort(server.Addr)
		}
		if tls := server.TLSConfig; tls != nil && o.TLS.ServerName == "" {
			tls.ServerName = "" // go-redis fills in the master's address, from Sentinel
		}
		return redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: master, SentinelAddrs: o.Sentinels,
			SentinelUsername: o.SentinelUsername, SentinelPassword: o.SentinelPassword,
			Username: server.Username, Password: server.Password, DB: server.DB, TLSConfig: server.TLSConfig,
			ClientName: o.ClientName, Protocol: 2, MaxRetries: -1, DialerRetries: 1,
			DialTimeout: o.Timeout, ReadTimeout: o.Timeout, WriteTimeout: o.Timeout, ContextTimeoutEnabled: true,
			DisableIdentity: true,
		}), nil
	case len(o.Cluster) > 0:
		if tls := server.TLSConfig; tls != nil && o.TLS.ServerName == "" {
			tls.ServerName = ""
		}
		return redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: o.Cluster, Username: server.Username, Password: server.Password, TLSConfig: server.TLSConfig,
			ClientName: o.ClientName, Protocol: 2, MaxRetries: -1, DialerRetries: 1,
			DialTimeout: o.Timeout, ReadTimeout: o.Timeout, WriteTimeout: o.Timeout, ContextTimeoutEnabled: true,
			DisableIdentity: true, MaintNotificationsConfig: noMaintenance(),
		}), nil
	}
	server.ClientName = o.ClientName
	server.Protocol = 2
	server.MaxRetries = -1 // a PUBLISH sent twice would arrive twice
	server.DialerRetries = 1
	server.DialTimeout = o.Timeout
	server.ReadTimeout = o.Timeout
	server.WriteTimeout = o.Timeout
	server.ContextTimeoutEnabled = true
	server.DisableIdentity = true
	server.MaintNotificationsConfig = noMaintenance()
	return redis.NewClient(server), nil
}

func noMaintenance() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}
