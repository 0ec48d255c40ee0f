package lease

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Options are what a Lease needs.
type Options struct {
	Redis  redis.UniversalClient // the lease closes it
	Prefix *string               // broadcasts.channel_prefix; nil: none
	Node   string                // our name, made anew at every start
	Secret string                // of all nodes: seals records
	TTL    time.Duration         // how long a node may be silent
	Log    *slog.Logger
}

// Connections are those of this node, and the way to Rails.
type Connections interface {
	// Record appends what another node needs in order to end a connection in
	// Rails. It returns nil if Rails knows of its end.
	Record(to []byte, connection string) []byte
	// Close tells Rails of the ends of another node's connections. It returns
	// those of which Rails knows now, or may know; with an error, the others are
	// to be tried again.
	Close(ctx context.Context, records []Record) (told []string, err error)
	// Taken ends all connections. Of those that are named another node has
	// told Rails.
	Taken(connections []string)
}

// Record is one connection of another node.
type Record struct {
	Connection string
	Text       []byte
}

// Lease is what other nodes know of this one. A nil Lease does nothing.
type Lease struct {
	redis redis.UniversalClient
	keys  keys
	node  string
	ttl   time.Duration
	log   *slog.Logger

	secret      string
	connections Connections
	wake        chan struct{} // something has changed
	doubt       chan struct{} // the lease seems not to be ours

	until   atomic.Pointer[time.Time] // when the lease may run out; nil: there is none that could
	refused atomic.Bool               // Redis does not let us
	takers  sync.WaitGroup
	turn    sync.Mutex // one node is taken over at a time

	tookOver  atomic.Int64
	closedFor atomic.Int64

	// of flush
	plain, sealed []byte // buffers

	// of the loop of keep
	missing map[string]time.Time // since when a node's lease is looked for in vain
	steady  time.Time            // since when every renewal has succeeded
	begun   int                  // leases, ours

	mu      sync.Mutex
	name    string // of our lease
	sealer  sealer
	held    bool // it is in Redis
	down    bool // the last renewal failed
	settled chan struct{}
	records records
	claimed map[string]bool // leases of others
	others  []string        // that have one, at the last look
}

// New checks nothing and opens nothing.
func New(o Options) *Lease {
	l := &Lease{
		redis: o.Redis, keys: newKeys(o.Prefix), node: o.Node, ttl: o.TTL, log: o.Log, secret: o.Secret,
		wake: make(chan struct{}, 1), doubt: make(chan struct{}, 1), settled: make(chan struct{}),
		missing: map[string]time.Time{}, records: newRecords(), claimed: map[string]bool{},
	}
	l.begin()
	return l
}

// begin takes a name that nobody has had. Nothing is in Redis yet.
func (l *Lease) begin() {
	l.name = l.node
	if l.begun > 0 {
		l.name = fmt.Sprintf("%s.%d", l.node, l.begun)
	}
	l.begun++
	l.sealer, l.held = newSealer(l.secret, l.name), false
	l.until.Store(nil)
}

// Changed says that the record of a connection has, or that Rails knows of the
// connection's end. It never blocks.
func (l *Lease) Changed(connection string) {
	if l == nil || l.refused.Load() {
		return
	}
	l.mu.Lock()
	l.records.change(connection)
	l.mu.Unlock()
	nudge(l.wake)
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run keeps the lease until ctx ends, and then gives it up: what Rails has not
// been told by then is left to the others. No trouble with Redis ends it, but
// that Redis does not let us.
func (l *Lease) Run(ctx context.Context, connections Connections) error {
	if l == nil {
		return nil
	}
	defer l.redis.Close()
	l.connections = connections
	working, stop := context.WithCancel(ctx)
	var writer sync.WaitGroup
	writer.Go(func() { l.writeBehind(working) })
	l.keep(working)
	stop()
	writer.Wait()
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWait)
	defer cancel()
	l.giveUp(ending)
	l.awaitTakers(ending)
	return nil
}

// endWait is how long the end of the process may take.
const endWait = 2 * time.Second

func (l *Lease) awaitTakers(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		l.takers.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// giveUp ends the lease at the end of the process.
func (l *Lease) giveUp(ctx context.Context) {
	if !l.held || l.refused.Load() {
		return
	}
	for l.flush(ctx) {
	}
	l.release(ctx, l.name)
}

// release gives up a lease, ours or one that we have claimed.
func (l *Lease) release(ctx context.Context, name string) {
	ctx, cancel := l.wait(ctx)
	defer cancel()
	left, err := release.Run(ctx, l.redis, l.keys.of(name), l.node).Int()
	if err == nil && left == 0 {
		err = l.redis.SRem(ctx, l.keys.nodes(), name).Err()
	}
	if err != nil {
		l.log.Warn("a lease could not be given up: it runs out", "error", err)
	}
}
