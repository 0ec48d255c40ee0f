package config

import "strings"

// Given tells whether a key, or any key below it, was set anywhere: in a file,
// in the environment, on the command line or by Rails.
func (c *Config) Given(key string) bool {
	for given := range c.origins {
		if given == key || strings.HasPrefix(given, key+".") {
			return true
		}
	}
	return false
}

// Origin tells where the value of a key comes from, such as config/catenary.yml:3.
func (c *Config) Origin(key string) string {
	if origin := c.origins[key]; origin != "" {
		return origin
	}
	return "the default"
}

// Where backend.concurrency comes from if nobody has chosen it.
const (
	threadsOfEnvironment = "RAILS_MAX_THREADS"
	threadsOfRails       = "Rails' threads less one"
)

// FixesConcurrency tells whether somebody has chosen how many POSTs may be in
// flight. Otherwise it follows Rails' threads.
func (c *Config) FixesConcurrency() bool {
	origin, given := c.origins["backend.concurrency"]
	return given && origin != threadsOfEnvironment && origin != threadsOfRails
}
