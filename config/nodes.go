package config

import (
	"errors"
	"time"
)

// Nodes is what the nodes of one application do for each other.
type Nodes struct {
	// Lease is how long a node may be silent before others run its callbacks; 0
	// is for ever.
	Lease time.Duration
}

// shortestLease leaves room for a renewal that fails, and for a busy machine.
const shortestLease = 3 * time.Second

func (l *loading) checkNodes() error {
	if l.Nodes.Lease != 0 && l.Nodes.Lease < shortestLease {
		return mistake(l.origins["nodes.lease"], "nodes.lease", errors.New("is too short: a busy node would be taken for dead; write at least 3s, or 0 for none"))
	}
	return nil
}
