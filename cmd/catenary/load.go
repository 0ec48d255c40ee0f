package main

import "github.com/catenary-cable/catenary/config"

// load reads the configuration. Behind a command that starts Rails, catenary is
// the one front, so it serves every path.
func load(input config.Input, front bool) (*config.Config, error) {
	cfg, err := config.Load(input)
	if err != nil {
		return nil, err
	}
	cfg.Proxy = cfg.Proxy || front
	return cfg, nil
}
