package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/catenary-cable/catenary/config/erb"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// Input is everything that Load reads, besides files below the root.
type Input struct {
	// Root is the application's directory. The flag --root and CATENARY_ROOT override it.
	Root string
	// Environ is the environment, "NAME=value" each.
	Environ []string
	// Flags are those of RegisterFlags, parsed. It may be nil.
	Flags *pflag.FlagSet

	// FromRails is ActionCable.server.config.cable as the gem reports it. It replaces
	// config/cable.yml.
	FromRails map[string]any
	// RailsPaths and RailsThreads come from the gem as well, if they are not zero: where Action
	// Cable is mounted, and the threads of all Rails processes.
	RailsPaths   []string
	RailsThreads int
}

// Load merges defaults, files, environment and flags, each over those before, and checks the
// result. The error joins all mistakes that Load finds. A value of config/cable.yml that only Rails
// can read is not a mistake: see [Config.Unread].
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
	l := newLoading(environ)

	// Root and environment say which files and which of their sections to read.
	l.merge(rails, env, flags)
	l.Root, l.Environment = l.viper.GetString("root"), l.viper.GetString("environment")

	cable := l.cableLayer(in.FromRails)
	catenary, err := l.catenaryLayer()
	l.note(err)
	if err := errors.Join(l.mistakes...); err != nil {
		return nil, err
	}
	adapterIsSet := slices.ContainsFunc([]*layer{catenary, env, flags}, func(o *layer) bool { return o.values["broadcasts.adapter"] != nil })
	if cable.adapter != "redis" && !adapterIsSet {
		cable.layer = newLayer() // its url and the like are not those of a Redis
	}
	l.merge(cable.layer, rails, catenary, env, flags)
	if err := l.viper.Unmarshal(l.Config); err != nil {
		return nil, fmt.Errorf("config: merge: %w", err)
	}
	l.finishListen()
	l.note(l.checkPlaces())
	l.note(l.chooseAdapter(cable))
	l.settleUnread(cable)
	l.note(l.finishRedis(in.FromRails != nil && cable.adapter == "redis"))
	l.note(l.finishBackend())
	l.note(l.finishJWT())
	l.note(l.finishTLS())
	l.note(l.finishTurbo())
	l.note(l.finishShutdown())
	l.note(l.checkNodes())
	l.note(l.checkMemory())
	if err := errors.Join(l.mistakes...); err != nil {
		return nil, err
	}
	return l.Config, nil
}

// PublishedTo is where an application publishes its broadcasts, from the
// ActionCable.server.config.cable that the gem reports. catenary's own settings do not count.
func PublishedTo(fromRails map[string]any) (Broadcasts, error) {
	l := newLoading(environ{})
	cable := l.cableLayer(fromRails)
	l.merge(cable.layer)
	if err := l.viper.Unmarshal(l.Config); err != nil {
		return Broadcasts{}, fmt.Errorf("config: merge: %w", err)
	}
	if cable.adapter == "redis" {
		l.settleUnread(cable)
		l.note(l.finishRedis(true))
	}
	l.Broadcasts.Adapter = cable.adapter
	return l.Broadcasts, errors.Join(append(l.mistakes, l.Unread)...)
}

// loading is a Config under construction.
type loading struct {
	*Config
	environ  environ
	viper    *viper.Viper
	empty    map[string]string // keys that stand in catenary.yml without a value → their places
	mistakes []error
}

func newLoading(e environ) *loading {
	l := &loading{Config: &Config{origins: map[string]string{}}, environ: e, viper: viper.New(), empty: map[string]string{}}
	for _, s := range settings() {
		l.viper.SetDefault(s.key, s.def)
	}
	return l
}

func (l *loading) evaluator() erb.Evaluator {
	return erb.Evaluator{Variables: l.environ.variables, Environment: l.Environment}
}

// note adds a mistake, if there is one.
func (l *loading) note(err error) {
	if err != nil {
		l.mistakes = append(l.mistakes, err)
	}
}

func (l *loading) warn(format string, args ...any) {
	l.Warnings = append(l.Warnings, fmt.Sprintf(format, args...))
}

// mistake is the error for the value of a key.
func (l *loading) mistake(key string, err error) error { return mistake(l.origins[key], key, err) }

// secret is the value of a key that messages must not show.
func (l *loading) secret(key string) Secret {
	return NewSecret(l.viper.GetString(key), l.origins[key])
}

// merge puts layers over the values so far, the strongest last.
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

// forgetRedis resets the keys that say where Redis is to their defaults.
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

// read returns the text of a file below the root, and whether the file exists.
func (l *loading) read(name string) (text string, exists bool, err error) {
	data, err := os.ReadFile(filepath.Join(l.Root, filepath.FromSlash(name)))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", false, nil
	case err != nil:
		return "", false, fmt.Errorf("%s: cannot be read: %w", name, errors.Unwrap(err))
	}
	return string(data), true, nil
}
