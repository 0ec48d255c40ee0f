package socket

import (
	"cmp"
	"context"
	"time"

	"github.com/catenary-cable/catenary/cable/socket/descriptor"
	"github.com/catenary-cable/catenary/cable/stats"
)

// Options configure Sockets.
type Options struct {
	Limits    Limits
	Ping      time.Duration           // between pings; 0: BeatInterval
	Compress  bool                    // long messages, for browsers that offer permessage-deflate
	Throttled *stats.ThrottledCounter // commands, by limit
}

// Sockets is what all sockets of a server share: limits, the poller, the heartbeat and the backlog.
type Sockets struct {
	limits    Limits
	compress  bool
	throttled *stats.ThrottledCounter
	started   time.Time
	poller    *descriptor.Poller
	heartbeat heartbeat
	backlog   backlog
}

// NewSockets creates the shared parts. Run starts them.
func NewSockets(o Options) (*Sockets, error) {
	p, err := descriptor.NewPoller()
	if err != nil {
		return nil, err
	}
	a := &Sockets{limits: o.Limits, compress: o.Compress, throttled: o.Throttled, started: time.Now(), poller: p}
	a.heartbeat.interval = cmp.Or(o.Ping, BeatInterval)
	a.heartbeat.started = a.started
	return a, nil
}

// Run reads from browsers and pings them until ctx ends.
func (a *Sockets) Run(ctx context.Context) error {
	defer a.heartbeat.stop()
	return a.poller.Run(ctx)
}

// Poller returns the poller that watches the sockets. It runs with them.
func (a *Sockets) Poller() *descriptor.Poller { return a.poller }

// Stats are the numbers of a server's sockets.
type Stats struct {
	Pings   int64 // sent since the start
	Backlog BacklogStats
}

// Stats returns the numbers. It holds each lock only briefly.
func (a *Sockets) Stats() Stats {
	return Stats{Pings: a.heartbeat.sent.Load(), Backlog: a.backlog.stats()}
}
