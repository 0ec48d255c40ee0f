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

// stopTimeout bounds the work between the end of Run's context and Run's return.
const stopTimeout = 2 * time.Second

// Options configure a Lease.
type Options struct {
	Redis  redis.UniversalClient // Run closes it
	Prefix *string               // broadcasts.channel_prefix; nil: none
	Node   string                // this node's name, unique to each start
	Secret string                // shared by all nodes; seals the records
	TTL    time.Duration         // how long a node may go without renewing its lease
	Log    *slog.Logger
}

// Connections are this node's connections and calls to Rails.
type Connections interface {
	// Record appends to dst what another node needs to run the connection's disconnect callbacks.
	// It returns nil if Rails has run them already, or has nothing to run.
	Record(dst []byte, connection string) []byte

	// Close has Rails run the disconnect callbacks of another node's connections. It returns the
	// connections whose callbacks ran or may have run. With an error, the others are to be retried.
	Close(ctx context.Context, records []Record) (closed []string, err error)

	// Taken closes all connections of this node, after another node took it over. For the given
	// connections the other node has run the callbacks.
	Taken(connections []string)
}

// Record is one connection of another node.
type Record struct {
	Connection string
	Text       []byte // from Connections.Record of that node
}

// Lease keeps this node's lease renewed, and the records that other nodes need when it expires. It
// also takes over other nodes. A nil Lease does nothing.
type Lease struct {
	redis       redis.UniversalClient
	keys        keys
	node        string
	ttl         time.Duration
	log         *slog.Logger
	secret      string
	connections Connections // set by Run

	changed chan struct{} // wakes the writer
	recheck chan struct{} // has the lease renewed at once: Redis answered that it is not ours

	validUntil atomic.Pointer[time.Time] // nil before the first renewal, when no lease can expire
	denied     atomic.Bool               // Redis does not allow what a lease needs

	takeovers  sync.WaitGroup
	takeoverMu sync.Mutex // one node is taken over at a time

	nodesTakenOver       atomic.Int64
	connectionsTakenOver atomic.Int64

	// owned by the writer: buffers
	plain, sealed []byte

	// owned by the renewal loop
	missingSince map[string]time.Time // other nodes' leases that were not found
	healthySince time.Time            // every renewal since then has succeeded
	generation   int                  // number of names this process has used

	mu       sync.Mutex
	name     string // of our lease
	sealer   sealer
	held     bool          // Redis has our lease
	down     bool          // the last renewal failed
	answered chan struct{} // closed and replaced after each attempt to renew
	records  records
	claimed  map[string]bool // other nodes' leases that we hold
	others   []string        // nodes that had a lease at the last look
}

// New opens no connection.
func New(o Options) *Lease {
	l := &Lease{
		redis: o.Redis, keys: newKeys(o.Prefix), node: o.Node, ttl: o.TTL, log: o.Log, secret: o.Secret,
		changed: make(chan struct{}, 1), recheck: make(chan struct{}, 1), answered: make(chan struct{}),
		missingSince: map[string]time.Time{}, records: newRecords(), claimed: map[string]bool{},
	}
	l.rename()
	return l
}

// rename gives the lease a name under which Redis has nothing yet.
func (l *Lease) rename() {
	l.name = l.node
	if l.generation > 0 {
		l.name = fmt.Sprintf("%s.%d", l.node, l.generation)
	}
	l.generation++
	l.sealer = newSealer(l.secret, l.name)
	l.held = false
	l.validUntil.Store(nil)
}

// Changed reports that a connection's record has changed, or that Rails has run the connection's
// disconnect callbacks. It never blocks.
func (l *Lease) Changed(connection string) {
	if l == nil || l.denied.Load() {
		return
	}
	l.mu.Lock()
	l.records.change(connection)
	l.mu.Unlock()
	wake(l.changed)
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run keeps the lease until ctx ends and then releases it, so that other nodes take over the records
// that are left. It returns earlier only if Redis does not allow what a lease needs.
func (l *Lease) Run(ctx context.Context, connections Connections) error {
	if l == nil {
		return nil
	}
	defer l.redis.Close()
	l.connections = connections
	working, stop := context.WithCancel(ctx)
	var writer sync.WaitGroup
	writer.Go(func() { l.writeBehind(working) })
	l.keepRenewing(working)
	stop()
	writer.Wait()
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	l.giveUp(stopping)
	l.waitForTakeovers(stopping)
	return nil
}

// giveUp writes what is pending and releases our lease.
func (l *Lease) giveUp(ctx context.Context) {
	if !l.held || l.denied.Load() {
		return
	}
	for l.flush(ctx) {
	}
	l.release(ctx, l.name)
}

// release gives up a lease: ours, or one that we have claimed.
func (l *Lease) release(ctx context.Context, name string) {
	ctx, cancel := l.withTimeout(ctx)
	defer cancel()
	left, err := releaseScript.Run(ctx, l.redis, l.keys.all(name), l.node).Int()
	if err == nil && left == 0 {
		err = l.redis.SRem(ctx, l.keys.nodes(), name).Err()
	}
	if err != nil {
		l.log.Warn("failed to release lease, which expires by itself", "error", err)
	}
}

func (l *Lease) waitForTakeovers(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		l.takeovers.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}
