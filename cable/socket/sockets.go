package socket

import (
	"cmp"
	"context"
	"time"

	"github.com/catenary-cable/catenary/cable/stats"
)

// Options are what Sockets needs.
type Options struct {
	Limits    Limits
	Ping      time.Duration           // between pings; 0: BeatInterval
	Compress  bool                    // long messages, for browsers that offer permessage-deflate
	Throttled *stats.ThrottledCounter // commands, by limit
}

// Sockets is what all sockets of a server share: the poller that reads them,
// the heartbeat and the backlog.
type Sockets struct {
	limits    Limits
	compress  bool
	throttled *stats.ThrottledCounter
	started   time.Time
	poller    *poller
	heartbeat heartbeat
	backlog   backlog
}

// NewSockets makes the shared parts; Run makes them work.
func NewSockets(o Options) (*Sockets, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	a := &Sockets{limits: o.Limits, compress: o.Compress, throttled: o.Throttled, started: time.Now(), poller: p}
	a.heartbeat.interval = cmp.Or(o.Ping, BeatInterval)
	return a, nil
}

// Run reads from browsers and pings them until ctx ends.
func (a *Sockets) Run(ctx context.Context) error {
	go a.heartbeat.run(ctx)
	return a.poller.run(ctx)
}

// Stats are the numbers of the sockets of a server.
type Stats struct {
	Pings   int64 // handed to sockets since the start
	Backlog BacklogStats
}

// Stats locks nothing for long.
func (a *Sockets) Stats() Stats {
	return Stats{Pings: a.heartbeat.sent.Load(), Backlog: a.backlog.stats()}
}
