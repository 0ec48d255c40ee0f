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
