package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// Input is everything that Load reads, besides files below the root.
type Input struct {
	// Root is the application's directory; the flag and CATENARY_ROOT win over it.
	Root string
	// Environ is the environment, "NAME=value" each.
	Environ []string
	// Flags are those of RegisterFlags, parsed; nil if there are none.
	Flags *pflag.FlagSet

	// FromRails is ActionCable.server.config.cable as the gem tells it. It takes
	// the place of config/cable.yml.
	FromRails map[string]any
	// RailsPaths, where Action Cable is mounted, and RailsThreads, of all its
	// processes, come from the gem as well, if not zero.
	RailsPaths   []string
	RailsThreads int
}

// Load merges defaults, files, environment and flags, the later over the
// earlier, and checks the outcome. The error joins every mistake found; ask it
// with errors.As for [AdapterError]. What cable.yml says and only Rails can tell is
// none: see [Config.Unread].
func Load(in Input) (*Config, error) {
	environ := newEnviron(in.Environ)
	flags, err := flagLayer(in.Flags)
	if err != nil {
		return nil, err
	}
	env, err := environ.layer()
	if err != nil {
		return nil, err
	}
	rails := in.railsLayer()
	l := newLoading()

	// where the files are, and which section of them, has to be known first
	l.merge(rails, env, flags)
	l.Root, l.Environment = l.viper.GetString("root"), l.viper.GetString("environment")
	e := evaluator{variables: environ.variables, environment: l.Environment}

	cable := l.cableLayer(in.FromRails, e)
	catenary, err := l.catenaryLayer(e)
	l.note(err)
	if err := errors.Join(l.mistakes...); err != nil {
		return nil, err
	}
	if cable.adapter != "redis" && !slices.ContainsFunc([]*layer{catenary, env, flags}, func(o *layer) bool { return o.values["broadcasts.adapter"] != nil }) {
		cable.layer = newLayer() // nothing of it is for a client of Redis
	}
	l.merge(cable.layer, rails, catenary, env, flags)
	if err := l.viper.Unmarshal(l.Config); err != nil {
		return nil, fmt.Errorf("config: put together: %w", err)
	}
	l.finishListen(environ)
	l.note(l.checkPlaces())
	l.note(l.chooseAdapter(cable))
	l.settleUnread(cable)
	l.note(l.finishRedis(environ, in.FromRails != nil && cable.adapter == "redis"))
	l.note(l.finishBackend(environ, e))
	l.note(l.finishEdge(environ))
	l.note(l.finishTurbo(environ, e))
	l.note(l.finishShutdown())
	l.note(l.checkNodes())
	l.note(l.checkMemory())
	if err := errors.Join(l.mistakes...); err != nil {
		return nil, err
	}
	return l.Config, nil
}

// loading is a Config under construction.
type loading struct {
	*Config
	viper    *viper.Viper
	empty    map[string]string // keys of catenary.yml that stand there without a value: their places
	mistakes []error
}

func newLoading() *loading {
	l := &loading{Config: &Config{origins: map[string]string{}}, viper: viper.New(), empty: map[string]string{}}
	for _, s := range settings() {
		l.viper.SetDefault(s.key, s.def)
	}
	return l
}

// PublishedTo is where an application publishes whose
// ActionCable.server.config.cable the gem has told, whatever catenary was told
// otherwise.
func PublishedTo(fromRails map[string]any) (Broadcasts, error) {
	l := newLoading()
	cable := l.cableLayer(fromRails, evaluator{})
	l.merge(cable.layer)
	if err := l.viper.Unmarshal(l.Config); err != nil {
		return Broadcasts{}, fmt.Errorf("config: put together: %w", err)
	}
	if cable.adapter == "redis" {
		l.settleUnread(cable)
		l.note(l.finishRedis(environ{}, true))
	}
	l.Broadcasts.Adapter = cable.adapter
	return l.Broadcasts, errors.Join(append(l.mistakes, l.Unread)...)
}

func (l *loading) note(err error) {
	if err != nil {
		l.mistakes = append(l.mistakes, err)
	}
}

func (l *loading) warn(format string, args ...any) {
	l.Warnings = append(l.Warnings, fmt.Sprintf(format, args...))
}

// merge lays layers over what is there, the strongest last.
func (l *loading) merge(layers ...*layer) {
	for _, one := range layers {
		if one.saysWhereRedisIs() {
			l.forgetRedis()
		}
		if err := l.viper.MergeConfigMap(one.tree()); err != nil {
			l.note(fmt.Errorf("config: merge: %w", err))
		}
		for key, origin := range one.origin {
			l.origins[key] = origin
		}
	}
}

// forgetRedis puts the keys that say where Redis is back to their defaults.
func (l *loading) forgetRedis() {
	blank, byKey := newLayer(), settingsByKey()
	for _, key := range whereRedisIs {
		key = "broadcasts.redis." + key
		blank.values[key] = byKey[key].def
		delete(l.origins, key)
	}
	if err := l.viper.MergeConfigMap(blank.tree()); err != nil {
		l.note(fmt.Errorf("config: merge: %w", err))
	}
}

// railsLayer is what only the running application knows.
func (in Input) railsLayer() *layer {
	l := newLayer()
	if in.Root != "" {
		l.set("root", in.Root, "where catenary was started")
	}
	if len(in.RailsPaths) > 0 {
		l.set("paths", in.RailsPaths, "Rails' routes")
	}
	if in.RailsThreads > 1 {
		l.set("backend.concurrency", in.RailsThreads-1, threadsOfRails)
	}
	return l
}

// finishListen keeps a server in development to this machine, as "rails server"
// does, unless somebody has named addresses.
func (l *loading) finishListen(e environ) {
	host, port, err := net.SplitHostPort(l.Listen)
	portOnly := slices.Contains([]string{"", "PORT", "CATENARY_PORT"}, l.origins["listen"])
	if l.Environment == "development" && portOnly && host == "" && err == nil {
		l.Listen = net.JoinHostPort(cmp.Or(e.variables["BINDING"], "127.0.0.1"), port)
	}
}

// checkPlaces refuses a root that is not there and paths that no browser can ask for.
func (l *loading) checkPlaces() error {
	if info, err := os.Stat(l.Root); err != nil || !info.IsDir() {
		return mistake(l.origins["root"], "root", fmt.Errorf("%q is no directory: name the one that has config/ in it", l.Root))
	}
	for _, path := range l.Paths {
		if !strings.HasPrefix(path, "/") {
			return mistake(l.origins["paths"], "paths", fmt.Errorf("%q must begin with a slash: write %q", path, "/"+path))
		}
	}
	if len(l.Paths) == 0 {
		return mistake(l.origins["paths"], "paths", errors.New("names none: write at least /cable"))
	}
	return nil
}

// read gives the text of a file below the root, and whether there is one.
func (c *Config) read(name string) (string, bool, error) {
	data, err := os.ReadFile(filepath.Join(c.Root, filepath.FromSlash(name)))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", false, nil
	case err != nil:
		return "", false, fmt.Errorf("%s: cannot be read: %w", name, errors.Unwrap(err))
	}
	return string(data), true, nil
}
