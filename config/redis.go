package config

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Redis is how the application's Redis is reached. After Load, URL and the
// single fields say the same: URL can be given to redis.ParseURL, and with
// Sentinels or Cluster the fields are what counts.
type Redis struct {
	URL  string
	Host string
	Port int
	// Path is a Unix socket, in place of host and port.
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
	// Cluster are host:port of some nodes.
	Cluster []string

	ConnectTimeout time.Duration `mapstructure:"connect_timeout"`
}

// SSLParams are OpenSSL's, as redis-rb takes them.
type SSLParams struct {
	// VerifyMode is "peer" or "none".
	VerifyMode     string `mapstructure:"verify_mode"`
	VerifyHostname bool   `mapstructure:"verify_hostname"`
	CAFile         string `mapstructure:"ca_file"`
	Cert           string
	Key            string
}

// Sentinel is one that knows the master.
type Sentinel struct {
	Host     string
	Port     int
	Username string
	Password string
}

// String is safe to print: passwords are left out.
func (r Redis) String() string { return withoutPassword(r.URL) }

// GoString keeps %#v from printing passwords.
func (r Redis) GoString() string { return r.String() }

// MarshalText keeps JSON and slog from printing passwords.
func (r Redis) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// String is safe to print.
func (s Sentinel) String() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// finishRedis brings url and single fields together, as redis-rb does: a field
// wins over the same part of the url, and REDIS_URL counts if nothing else says
// where Redis is. told: the gem has told all that, REDIS_URL too.
func (l *loading) finishRedis(e environ, told bool) error {
	if l.Broadcasts.Adapter == "rails" {
		return nil
	}
	err := l.finishRedisOf(e, told)
	if l.Unread != nil {
		return nil // there may be more to it
	}
	return err
}

func (l *loading) finishRedisOf(e environ, told bool) error {
	r := &l.Broadcasts.Redis
	if !told && r.URL == "" && r.Host == "" && r.Port == 0 && r.Path == "" && r.Cluster == nil {
		if given := strings.TrimSpace(e.variables["REDIS_URL"]); given != "" {
			if err := checkRedisURL(given); err != nil {
				return fmt.Errorf("the variable REDIS_URL: %w", err)
			}
			r.URL, l.origins["broadcasts.redis.url"] = given, "REDIS_URL"
		}
	}
	urlOrigin := l.origins["broadcasts.redis.url"]
	if r.URL != "" {
		if err := r.split(l.sameFile("broadcasts.redis.ssl", "broadcasts.redis.url")); err != nil {
			return mistake(urlOrigin, "broadcasts.redis.url", err)
		}
	}
	if len(r.Sentinels) > 0 && r.MasterName == "" {
		if r.MasterName = r.Host; r.MasterName == "" {
			return mistake(l.origins["broadcasts.redis.sentinels"], "sentinels", fmt.Errorf("need the name of the master: set broadcasts.redis.master_name"))
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
	if (r.SSLParams.Cert == "") != (r.SSLParams.Key == "") {
		return fmt.Errorf("broadcasts.redis.ssl_params: cert and key belong together: set both or none")
	}
	r.URL = r.join()
	for _, key := range []string{"host", "port", "path", "db", "username", "password"} { // all of them follow from the url where there is one
		if key = "broadcasts.redis." + key; l.origins[key] == "" && urlOrigin != "" {
			l.origins[key] = urlOrigin
		}
	}
	return nil
}

// sameFile tells whether two keys were set, and in one file.
func (c *Config) sameFile(a, b string) bool {
	fileOfA, _, _ := strings.Cut(c.origins[a], ":")
	fileOfB, _, _ := strings.Cut(c.origins[b], ":")
	return fileOfA != "" && fileOfA == fileOfB
}

// split fills the fields that are not set from the parts of URL. Query
// parameters are dropped: Ruby ignores them, go-redis refuses what it does not know.
// plaintext: somebody has said "ssl: false", which wins.
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

// join makes the URL of the fields.
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

// checkRedisURL accepts what both redis-rb and go-redis do. Its error quotes
// nothing, since the URL may hold a password.
func checkRedisURL(t string) error {
	u, err := url.Parse(t)
	if err != nil {
		return fmt.Errorf("is not a URL: write redis://user:password@host:6379/0, with %%XX for special characters of the password")
	}
	switch u.Scheme {
	case "unix":
		if u.Opaque+u.Path != "" {
			return nil
		}
		return fmt.Errorf("names no socket: write unix:///run/redis/redis.sock")
	case "redis", "rediss":
		if db := strings.Trim(u.Path, "/"); db != "" {
			if n, err := strconv.Atoi(db); err != nil || n < 0 {
				return fmt.Errorf("must end in the number of a database, as in redis://host:6379/0")
			}
		}
		return nil
	}
	return fmt.Errorf("must begin with redis://, rediss:// or unix://")
}

// withoutPassword is a text without the user information and the query of a URL in it.
func withoutPassword(t string) string {
	u, err := url.Parse(t)
	if err != nil {
		if strings.ContainsAny(t, "@") {
			return "…"
		}
		return t
	}
	if u.User != nil {
		u.User = url.User("…")
	}
	if u.RawQuery != "" && u.Scheme != "" {
		u.RawQuery = "…"
	}
	if out, err := url.PathUnescape(u.String()); err == nil && u.Scheme != "" {
		return out
	}
	return t
}
