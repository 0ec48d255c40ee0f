// Package config says how catenary is to run: one typed [Config] out of the
// application's own config/cable.yml, config/catenary.yml, the environment and
// the command line.
//
//	defaults < config/cable.yml (or what the gem tells) < config/catenary.yml < environment < flags
//
// A layer is a list of entries, each a key, a value and the place it was read
// from, so that every mistake can name its place and every effective value its
// origin. The table in settings.go is the one list of keys; names of variables
// and flags, defaults and the documentation follow from it.
//
// The package reads files below the application's root and nothing else: the
// environment comes in as a slice, and it opens no socket.
package config
