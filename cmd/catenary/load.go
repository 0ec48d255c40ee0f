package main

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/catenary-cable/catenary/config"
)

// load reads the configuration. If config/cable.yml is missing, or says what
// only Ruby can evaluate, unresolved says so: Rails has to be asked where
// broadcasts are published. Behind a command that starts Rails, catenary is
// the one front, so it serves every path.
func load(input config.Input, front bool) (cfg *config.Config, unresolved, err error) {
	cfg, err = config.Load(input)
	if only := new(config.UnresolvedERBError); errors.As(err, &only) {
		unresolved = only
		input.FromRails = map[string]any{"adapter": "redis"} // stands in until Rails is asked
		cfg, err = config.Load(input)
	}
	if err != nil {
		return nil, nil, err
	}
	cfg.Proxy = cfg.Proxy || front
	_, missing := os.Stat(filepath.Join(cfg.Root, "config", "cable.yml"))
	if missing != nil && !cfg.Given("broadcasts.channel_prefix") {
		unresolved = errors.New("config/cable.yml is not here, and no setting says which prefix broadcasts have")
	}
	if cfg.PassesAll() || cfg.Broadcasts.Adapter == "rails" {
		unresolved = nil // broadcasts are the app's own affair
	}
	return cfg, unresolved, nil
}
