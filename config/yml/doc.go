// Package yml reads a YAML file of a Rails application as Rails' config_for does: with ERB, merge
// keys and aliases, and the section of the environment deep-merged over the section "shared".
// A mistake is an error with file and line.
package yml
