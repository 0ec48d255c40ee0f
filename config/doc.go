// Package config loads catenary's configuration: one typed [Config] from the application's
// config/cable.yml, config/catenary.yml, the environment and the command line.
//
//	defaults < config/cable.yml (or what the gem reports) < config/catenary.yml < environment < flags
//
// Each source becomes a layer: values by key, each with the place it was read from. So every
// mistake can name its place, and every value its origin. The table in settings.go is the only list
// of keys; names of variables and flags, defaults, --help and docs/configuration.md follow from it.
//
// The package reads files below the application's root. It does not read the process's environment,
// which the caller passes, and it opens no socket.
package config
