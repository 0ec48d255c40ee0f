package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Redis is where the application's Redis is. After Load, URL and the single fields agree: URL suits
// redis.ParseURL; with Sentinels or Cluster the fields count.
type Redis struct {
	URL  string
	Host string
	Port int
	// Path is a Unix socket, in place of Host and Port.
	Path     string
	DB       int
	Username string
	Password string

	SSL       bool
	SSLParams SSLParams `mapstructure:"ssl_params"`

	Sentinels        []Sentinel
	MasterName       string `mapstructure:"master_name"`
	SentinelUsername string `mapstructure:"sentinel_username"`
	SentinelPassword string `mapstructure:"sentinel_password"`
	// Cluster is host:port of some nodes.
	Cluster []string

	ConnectTimeout time.Duration `mapstructure:"connect_timeout"`
}

// SSLParams are OpenSSL's parameters, as redis-rb takes them.
type SSLParams struct {
	// VerifyMode is "peer" or "none".
	VerifyMode     string `mapstructure:"verify_mode"`
	VerifyHostname bool   `mapstructure:"verify_hostname"`
	CAFile         string `mapstructure:"ca_file"`
	Cert           string
	Key            string
}

// Sentinel is the address of a sentinel, and how to log in there.
type Sentinel struct {
	Host     string
	Port     int
	Username string
	Password string
}

// String is safe to print: it has no password.
func (r Redis) String() string { return withoutPassword(r.URL) }

// GoString keeps %#v from printing passwords.
func (r Redis) GoString() string { return r.String() }

// MarshalText keeps JSON and slog from printing passwords.
func (r Redis) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// String is safe to print: it has no password.
func (s Sentinel) String() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// finishRedis makes URL and the single fields agree, if catenary connects to Redis at all.
func (l *loading) finishRedis(reported bool) error {
	if l.Broadcasts.Adapter == "rails" {
		return nil
	}
	err := l.joinRedis(reported)
	if l.Unread != nil {
		return nil // what Rails reports may remove the mistake
	}
	return err
}

// joinRedis merges url and single fields as redis-rb does: a field wins over the same part of the
// url, and REDIS_URL counts if nothing else says where Redis is. reported: the gem has reported all
// of that, REDIS_URL included.
func (l *loading) joinRedis(reported bool) error {
	r := &l.Broadcasts.Redis
	if !reported && r.URL == "" && r.Host == "" && r.Port == 0 && r.Path == "" && r.Cluster == nil {
		if given := strings.TrimSpace(l.environ.variables["REDIS_URL"]); given != "" {
			if err := checkRedisURL(given); err != nil {
				return fmt.Errorf("the variable REDIS_URL: %w", err)
			}
			r.URL, l.origins["broadcasts.redis.url"] = given, "REDIS_URL"
		}
	}
	urlOrigin := l.origins["broadcasts.redis.url"]
	if r.URL != "" {
		if err := r.split(l.sameFile("broadcasts.redis.ssl", "broadcasts.redis.url")); err != nil {
			return l.mistake("broadcasts.redis.url", err)
		}
	}
	if len(r.Sentinels) > 0 && r.MasterName == "" {
		r.MasterName = r.Host
		if r.MasterName == "" {
			return mistake(l.origins["broadcasts.redis.sentinels"], "sentinels", errors.New(
				"need the name of the master: set broadcasts.redis.master_name"))
		}
	}
	if r.Path == "" {
		if r.Host == "" {
			r.Host = "localhost"
		}
		if r.Port == 0 {
			r.Port = 6379
		}
	}
	switch ssl := r.SSLParams; {
	case ssl.Cert == "" && ssl.Key != "":
		return l.mistake("broadcasts.redis.ssl_params.key", errors.New("needs cert as well: set both or neither"))
	case ssl.Cert != "" && ssl.Key == "":
		return l.mistake("broadcasts.redis.ssl_params.cert", errors.New("needs key as well: set both or neither"))
	}
	r.URL = r.join()
	for _, name := range []string{"host", "port", "path", "db", "username", "password"} { // the url may have set any of them
		key := "broadcasts.redis." + name
		if l.origins[key] == "" && urlOrigin != "" {
			l.origins[key] = urlOrigin
		}
	}
	return nil
}

// sameFile reports whether two keys were set in the same file.
func (c *Config) sameFile(a, b string) bool {
	fileOfA, _, _ := strings.Cut(c.origins[a], ":")
	fileOfB, _, _ := strings.Cut(c.origins[b], ":")
	return fileOfA != "" && fileOfA == fileOfB
}

// split fills the fields that are not set from the parts of URL. It drops query parameters:
// redis-rb ignores them, and go-redis rejects those that it does not know. plaintext: the file that
// has the url also has ssl, which wins over rediss:// if it is false.
func (r *Redis) split(plaintext bool) error {
	u, err := url.Parse(r.URL)
	if err != nil {
		return checkRedisURL(r.URL)
	}
	if u.User != nil {
		password, _ := u.User.Password()
		r.Username, r.Password = cmp.Or(r.Username, u.User.Username()), cmp.Or(r.Password, password)
	}
	if u.Scheme == "unix" {
		if r.Path == "" {
			r.Path = u.Opaque + u.Path
		}
		if db, err := strconv.Atoi(u.Query().Get("db")); err == nil && r.DB == 0 {
			r.DB = db
		}
		return nil
	}
	r.SSL = r.SSL || u.Scheme == "rediss" && !plaintext
	if r.Host == "" {
		r.Host = u.Hostname()
	}
	if port, err := strconv.Atoi(u.Port()); err == nil && r.Port == 0 {
		r.Port = port
	}
	if db, err := strconv.Atoi(strings.Trim(u.Path, "/")); err == nil && r.DB == 0 {
		r.DB = db
	}
	return nil
}

// join builds the URL from the fields.
func (r *Redis) join() string {
	u := url.URL{Scheme: "redis", Host: net.JoinHostPort(r.Host, strconv.Itoa(r.Port)), Path: "/" + strconv.Itoa(r.DB)}
	if r.SSL {
		u.Scheme = "rediss"
	}
	if r.Path != "" {
		u = url.URL{Scheme: "unix", Path: r.Path}
		if r.DB != 0 {
			u.RawQuery = "db=" + strconv.Itoa(r.DB)
		}
	}
	if r.Username != "" || r.Password != "" {
		u.User = url.UserPassword(r.Username, r.Password)
	}
	return u.String()
}
