package config

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

const cableFile = "config/cable.yml"

// cableKeys are the keys of cable.yml that say something to us, by Rails' name.
// Everything else there is for the redis gem and is neither read nor evaluated.
var cableKeys = map[string]string{
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
}

// cableLayer reads Rails' own settings.
func (l *loading) cableLayer(fromRails map[string]any, e evaluator) (*cable, error) {
	c := &cable{layer: newLayer(), adapter: "redis", where: cableFile}
	s, err := l.cableSection(fromRails, e)
	if s == nil || err != nil {
		return c, err
	}
	byKey := settingsByKey()
	var mistakes []error
	for _, entry := range s.entries {
		if entry.key != "adapter" && cableKeys[entry.key] == "" {
			if entry.key == "ssl_params.ca_path" {
				l.warn("%s: ssl_params.ca_path is not read: give one file as ca_file", s.place(entry))
			}
			continue
		}
		node, err := s.value(entry)
		switch setting := byKey[cableKeys[entry.key]]; {
		case err != nil:
			mistakes = append(mistakes, err)
		case isNull(node): // as if it were not there
		case entry.key == "adapter":
			c.adapter, c.where = strings.TrimSpace(node.Value), s.place(entry)
		default:
			if setting.secret && setting.kind == text {
				if trap := rubyReads(node); trap != "" {
					l.warn("%s: %s: %s: put it in quotes", s.place(entry), entry.key, trap)
					node.Style = yaml.DoubleQuotedStyle
				}
			}
			value, err := setting.parse(node)
			if err != nil {
				mistakes = append(mistakes, mistake(s.place(entry), entry.key, err))
				continue
			}
			c.set(setting.key, value, s.place(entry))
		}
	}
	return c, errors.Join(mistakes...)
}

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
