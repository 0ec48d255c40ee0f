package lease

import "time"

// day is how long is remembered what nobody needs sooner or later: the records
// of a node that nobody takes over, and that one was taken over.
const day = 24 * time.Hour

// keys names what is kept in Redis.
type keys struct{ prefix string }

// newKeys begins every name as Rails does its channels: without a prefix, or
// with one, which may be empty, and a colon.
func newKeys(prefix *string) keys {
	if prefix == nil {
		return keys{"_catenary:"}
	}
	return keys{*prefix + ":_catenary:"}
}

func (k keys) nodes() string                  { return k.prefix + "nodes" }
func (k keys) lease(name string) string       { return k.prefix + "{" + name + "}" }
func (k keys) connections(name string) string { return k.lease(name) + ":connections" }
func (k keys) taken(name string) string       { return k.lease(name) + ":taken" }
func (k keys) of(name string) (three []string) {
	return []string{k.lease(name), k.connections(name), k.taken(name)}
}
