package lease

import "time"

// day is how long Redis keeps the records of a node that no other takes over, and the note that a
// node was taken over.
const day = 24 * time.Hour

// keys names the package's keys in Redis.
type keys struct{ prefix string }

// newKeys builds the prefix as Rails does for its channels: nil adds nothing, any other prefix (the
// empty one too) is followed by a colon.
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

// all returns a node's three keys in the order in which the scripts expect them.
func (k keys) all(name string) []string {
	return []string{k.lease(name), k.connections(name), k.taken(name)}
}
