package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/catenary-cable/catenary/config/yml"
)

const cableFile = "config/cable.yml"

// cableKeys maps the keys of cable.yml that catenary uses to its own. The other keys there are for
// the redis gem: catenary neither reads nor evaluates them.
var cableKeys = map[string]string{
	"adapter":                    "broadcasts.adapter",
	"channel_prefix":             "broadcasts.channel_prefix",
	"url":                        "broadcasts.redis.url",
	"host":                       "broadcasts.redis.host",
	"port":                       "broadcasts.redis.port",
	"path":                       "broadcasts.redis.path",
	"db":                         "broadcasts.redis.db",
	"username":                   "broadcasts.redis.username",
	"password":                   "broadcasts.redis.password",
	"ssl":                        "broadcasts.redis.ssl",
	"ssl_params.verify_mode":     "broadcasts.redis.ssl_params.verify_mode",
	"ssl_params.verify_hostname": "broadcasts.redis.ssl_params.verify_hostname",
	"ssl_params.ca_file":         "broadcasts.redis.ssl_params.ca_file",
	"ssl_params.cert":            "broadcasts.redis.ssl_params.cert",
	"ssl_params.key":             "broadcasts.redis.ssl_params.key",
	"sentinels":                  "broadcasts.redis.sentinels",
	"name":                       "broadcasts.redis.master_name",
	"sentinel_username":          "broadcasts.redis.sentinel_username",
	"sentinel_password":          "broadcasts.redis.sentinel_password",
	"connect_timeout":            "broadcasts.redis.connect_timeout",
}

// cable is the layer of cable.yml, or of what the gem reports in its place.
type cable struct {
	*layer
	adapter string
	where   string // place of the adapter
	unread  []unread
}

// unread is a key of the file whose value only Rails can report.
type unread struct {
	key    string // ours; "" stands for all of them
	reason error
}

func (c *cable) cannotRead(key string, reason error) {
	c.unread = append(c.unread, unread{key, reason})
}

// cableLayer reads Rails' own settings. It leaves out a value that Ruby might read differently.
func (l *loading) cableLayer(fromRails map[string]any) *cable {
	c := &cable{layer: newLayer(), adapter: "redis", where: cableFile}
	s, err := l.cableSection(fromRails)
	switch {
	case err != nil:
		c.cannotRead("", err)
		return c
	case s == nil:
		c.cannotRead("broadcasts.channel_prefix", errNoCableFile)
		return c
	}
	byKey := settingsByKey()
	for _, entry := range s.Entries {
		place, key := s.Place(entry), cableKeys[entry.Key]
		if key == "" {
			if entry.Key == "ssl_params.ca_path" {
				l.warn("%s: catenary does not read ssl_params.ca_path: name one file as ca_file", place)
			}
			if parent, _, below := strings.Cut(entry.Key, "."); below && cableKeys[parent] != "" {
				c.cannotRead(cableKeys[parent], mistake(place, parent, errors.New("must be one value, not a mapping")))
			}
			continue
		}
		setting := byKey[key]
		node, err := s.Value(entry)
		if err != nil {
			c.cannotRead(key, err)
			continue
		}
		if yml.IsNull(node) {
			continue // as if it were not there
		}
		if err := checkRuby(setting.kind, node); err != nil {
			c.cannotRead(key, mistake(place, entry.Key, err))
			continue
		}
		if key == "broadcasts.adapter" {
			c.adapter, c.where = node.Value, place
			continue
		}
		value, err := setting.parse(node)
		if err != nil {
			c.cannotRead(key, mistake(place, entry.Key, err))
			continue
		}
		c.set(key, value, place)
	}
	ambiguous := l.environ.variables["REDIS_URL"] != "" && c.values["broadcasts.redis.url"] == nil && has(s, "url", "host", "port", "path")
	if fromRails == nil && ambiguous {
		c.cannotRead("broadcasts.redis.url", errors.New(cableFile+": has host, port or path but no url, so the version of the redis gem decides "+
			"whether REDIS_URL counts: write a url, or unset REDIS_URL"))
	}
	return c
}

func has(s *yml.Section, keys ...string) bool {
	return slices.ContainsFunc(s.Entries, func(e yml.Entry) bool { return slices.Contains(keys, e.Key) })
}

var errNoCableFile = errors.New(cableFile + " does not exist, and broadcasts.channel_prefix is not set")

// cableSection reads the section of cable.yml, or what the gem reports in its place. It is nil if
// there is neither.
func (l *loading) cableSection(fromRails map[string]any) (*yml.Section, error) {
	if fromRails != nil {
		return yml.FromMap("the gem's settings", fromRails)
	}
	source, exists, err := l.read(cableFile)
	if !exists || err != nil {
		return nil, err
	}
	s, err := yml.Read(cableFile, source, l.Environment, l.evaluator())
	if err == nil && !s.Found {
		l.warn("%s has no section %s: like Rails, catenary uses the Redis at REDIS_URL", cableFile, l.Environment)
	}
	return s, err
}

// settleUnread sets Unread to the first value that catenary could not read, if the value is needed
// and no other layer sets it.
func (l *loading) settleUnread(c *cable) {
	set := func(key string) bool {
		origin := l.origins[key]
		return origin != "" && origin != c.origin[key]
	}
	placed := slices.ContainsFunc(placesOfRedis, func(key string) bool { return set("broadcasts.redis." + key) })
	for _, u := range c.unread {
		needed := !set(u.key)
		switch field, ofRedis := strings.CutPrefix(u.key, "broadcasts.redis."); {
		case l.Broadcasts.Adapter == "rails" || l.PassesAll():
			needed = false
		case u.key == "":
			needed = !set("broadcasts.channel_prefix") || !placed && !set("broadcasts.adapter")
		case ofRedis:
			needed = needed && !(placed && slices.Contains(whereRedisIs, field))
		}
		if needed && l.Unread == nil {
			l.Unread = u.reason
		}
	}
}

// chooseAdapter has Rails receive the broadcasts for catenary if cable.yml has an adapter other
// than redis, unless broadcasts.adapter is set.
func (l *loading) chooseAdapter(c *cable) error {
	origin, explicit := l.origins["broadcasts.adapter"]
	err := &adapterError{where: c.where, adapter: c.adapter}
	switch {
	case l.PassesAll():
		return nil
	case l.Broadcasts.Adapter == "rails" && l.Backend.Transport == "post":
		return fmt.Errorf("%s: broadcasts.adapter: rails needs a link into Rails: write backend.transport: auto", origin)
	case c.adapter == "redis" || l.Broadcasts.Adapter == "rails":
		return nil
	case explicit:
		l.warn("%s sets broadcasts.adapter, but Rails may not publish there: %s", origin, err)
		return nil
	case c.adapter == "any_cable" || l.Backend.Transport == "post":
		return err
	}
	l.Broadcasts.Adapter, l.origins["broadcasts.adapter"] = "rails", c.where+" (adapter: "+c.adapter+")"
	return nil
}

// adapterError is an adapter of cable.yml whose broadcasts catenary cannot receive.
type adapterError struct {
	where   string // place, such as config/cable.yml:3
	adapter string
}

func (e *adapterError) Error() string {
	if e.adapter == "any_cable" {
		return fmt.Sprintf(`%s: adapter: any_cable publishes to AnyCable's server only: write "adapter: redis" and a url`, e.where)
	}
	return fmt.Sprintf("%s: adapter: only Rails can receive broadcasts of the adapter %s: remove broadcasts.adapter, "+
		"or set it to rails, and write backend.transport: auto", e.where, e.adapter)
}
