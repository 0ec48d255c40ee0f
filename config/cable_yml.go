package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

const cableFile = "config/cable.yml"

// cableKeys are the keys of cable.yml that say something to us, by Rails' name.
// Everything else there is for the redis gem and is neither read nor evaluated.
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

// AdapterError is an adapter of cable.yml whose broadcasts catenary cannot hear.
type AdapterError struct {
	// Where is the place, such as config/cable.yml:3.
	Where   string
	Adapter string
}

func (e *AdapterError) Error() string {
	if e.Adapter == "any_cable" {
		return fmt.Sprintf(`%s: adapter: any_cable publishes for AnyCable's server; write "adapter: redis" with a url: catenary reads what Rails' own redis adapter publishes`, e.Where)
	}
	return fmt.Sprintf(`%s: adapter: what %s broadcasts only Rails can hear: leave broadcasts.adapter to %s, or write rails, and backend.transport: auto`, e.Where, e.Adapter, cableFile)
}

// cable is what cable.yml, or the gem in its place, says.
type cable struct {
	*layer
	adapter string
	where   string // of the adapter
	unread  []unread
}

// unread is what the file says of a key and only Rails can tell.
type unread struct {
	key string // ours; "": all of them
	why error
}

func (c *cable) cannotRead(key string, why error) { c.unread = append(c.unread, unread{key, why}) }

// cableLayer reads Rails' own settings. Where Ruby might read another value than
// we do, it has none.
func (l *loading) cableLayer(fromRails map[string]any, e evaluator) *cable {
	c := &cable{layer: newLayer(), adapter: "redis", where: cableFile}
	s, err := l.cableSection(fromRails, e)
	switch {
	case err != nil:
		c.cannotRead("", err)
		return c
	case s == nil:
		c.cannotRead("broadcasts.channel_prefix", errNoCableFile)
		return c
	}
	byKey := settingsByKey()
	for _, entry := range s.entries {
		key := cableKeys[entry.key]
		if key == "" {
			if entry.key == "ssl_params.ca_path" {
				l.warn("%s: ssl_params.ca_path is not read: give one file as ca_file", s.place(entry))
			}
			if parent, _, below := strings.Cut(entry.key, "."); below && cableKeys[parent] != "" {
				c.cannotRead(cableKeys[parent], mistake(s.place(entry), parent, errors.New("must be one value, not a mapping")))
			}
			continue
		}
		setting := byKey[key]
		node, err := s.value(entry)
		if err == nil && isNull(node) {
			continue // as if it were not there
		}
		if err == nil {
			err = at(s.place(entry), entry.key, asRuby(setting.kind, node))
		}
		if err == nil && key == "broadcasts.adapter" {
			c.adapter, c.where = node.Value, s.place(entry)
			continue
		}
		var value any
		if err == nil {
			value, err = setting.parse(node)
			err = at(s.place(entry), entry.key, err)
		}
		if err != nil {
			c.cannotRead(key, err)
			continue
		}
		c.set(key, value, s.place(entry))
	}
	if fromRails == nil && e.variables["REDIS_URL"] != "" && c.values["broadcasts.redis.url"] == nil && s.has("url", "host", "port", "path") {
		c.cannotRead("broadcasts.redis.url", fmt.Errorf("%s: without a url, but with host, port or path, it depends on the redis gem whether REDIS_URL counts: write a url, or unset REDIS_URL", cableFile))
	}
	return c
}

func (s *section) has(keys ...string) bool {
	return slices.ContainsFunc(s.entries, func(e entry) bool { return slices.Contains(keys, e.key) })
}

// at is nil, or says where a mistake is.
func at(place, key string, err error) error {
	if err == nil {
		return nil
	}
	return mistake(place, key, err)
}

// settleUnread keeps the first thing of cable.yml that could not be read, counts,
// and is set nowhere else.
func (l *loading) settleUnread(c *cable) {
	set := func(key string) bool {
		origin := l.origins[key]
		return origin != "" && origin != c.origin[key]
	}
	placed := slices.ContainsFunc(placesOfRedis, func(key string) bool { return set("broadcasts.redis." + key) })
	for _, u := range c.unread {
		adapter, counts := l.Broadcasts.Adapter, !set(u.key)
		switch field, ofRedis := strings.CutPrefix(u.key, "broadcasts.redis."); {
		case adapter == "rails" || l.PassesAll():
			counts = false
		case u.key == "":
			counts = !set("broadcasts.channel_prefix") || !placed && !set("broadcasts.adapter")
		case ofRedis:
			counts = counts && adapter == "redis" && !(placed && slices.Contains(whereRedisIs, field))
		}
		if counts && l.Unread == nil {
			l.Unread = u.why
		}
	}
}

var errNoCableFile = errors.New(cableFile + " is not here, and no setting says which prefix broadcasts have")

// cableSection is nil if nobody says anything of Rails' settings.
func (l *loading) cableSection(fromRails map[string]any, e evaluator) (*section, error) {
	if fromRails != nil {
		var document yaml.Node
		if err := document.Encode(fromRails); err != nil {
			return nil, fmt.Errorf("the settings that the gem tells: %w", err)
		}
		s := &section{template: &template{file: "the gem's settings", evaluator: e}, found: true}
		return s, s.flatten(&s.entries, "", &document, 0)
	}
	source, exists, err := l.read(cableFile)
	if !exists || err != nil {
		return nil, err
	}
	s, err := readSection(cableFile, source, e.environment, e)
	if err == nil && !s.found {
		l.warn("%s has no section %s: Rails takes redis at REDIS_URL then, and so does catenary", cableFile, e.environment)
	}
	return s, err
}

// place is where an entry stands, for messages.
func (s *section) place(e entry) string {
	if e.line == 0 {
		return s.file
	}
	return fmt.Sprintf("%s:%d", s.file, e.line)
}

// chooseAdapter has Rails listen where only Rails can hear what its adapter
// broadcasts, unless somebody said explicitly where broadcasts are read.
func (l *loading) chooseAdapter(c *cable) error {
	origin, explicit := l.origins["broadcasts.adapter"]
	err := &AdapterError{Where: c.where, Adapter: c.adapter}
	switch {
	case l.PassesAll():
		return nil
	case l.Broadcasts.Adapter == "rails" && l.Backend.Transport == "post":
		return fmt.Errorf("%s: broadcasts.adapter: rails needs a link into Rails: write backend.transport: auto", origin)
	case c.adapter == "redis" || l.Broadcasts.Adapter == "rails":
		return nil
	case explicit:
		l.warn("%s says where broadcasts are read, but Rails may not publish there: %s", origin, err)
		return nil
	case c.adapter == "any_cable" || l.Backend.Transport == "post":
		return err
	}
	l.Broadcasts.Adapter, l.origins["broadcasts.adapter"] = "rails", c.where+" (adapter: "+c.adapter+")"
	return nil
}
