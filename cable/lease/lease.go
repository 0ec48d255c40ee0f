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
	// Close tells Rails of the ends of another node's connections. An error
	// says that it has not been told, and is to be tried again.
	Close(ctx context.Context, records []Record) error
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

// keep renews the lease and looks after the others'.
func (l *Lease) keep(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-l.doubt:
		}
		began := time.Now()
		answer, err := l.renew(ctx)
		if ctx.Err() != nil {
			return
		}
		l.settle(began, answer, err)
		if err == nil {
			err = l.watch(ctx)
		}
		if isRefusal(err) {
			l.refuse(err)
			return
		}
		if err != nil {
			timer.Reset(min(l.every(), again))
		} else {
			timer.Reset(l.every())
		}
	}
}

// every is how often a lease is renewed: twice it may fail.
func (l *Lease) every() time.Duration { return l.ttl / 3 }

// wait bounds every word with Redis.
func (l *Lease) wait(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, max(l.every(), time.Second))
}

func (l *Lease) renew(ctx context.Context) (answer string, err error) {
	ctx, cancel := l.wait(ctx)
	defer cancel()
	l.mu.Lock()
	name := l.name
	claimed := make([]string, 0, len(l.claimed))
	for other := range l.claimed {
		claimed = append(claimed, other)
	}
	l.mu.Unlock()
	answer, err = renew.Run(ctx, l.redis, l.keys.of(name), l.node, l.ttl.Milliseconds(), int(day.Seconds())).Text()
	if err == nil && answer != taken {
		err = l.enlist(ctx, name)
	}
	for _, other := range claimed {
		l.hold(ctx, other) // who takes it over asks again before each step
	}
	return answer, err
}

// enlist has others look for our lease. No record is written before.
func (l *Lease) enlist(ctx context.Context, name string) error {
	if err := l.redis.SAdd(ctx, l.keys.nodes(), name).Err(); err != nil {
		return err
	}
	return l.redis.Expire(ctx, l.keys.nodes(), day).Err()
}

// settle takes in what a renewal has shown, and then wakes who waits for it.
func (l *Lease) settle(began time.Time, answer string, err error) {
	switch {
	case err != nil:
		l.failed(err)
	case answer == taken:
		l.lost()
	default:
		l.renewed(began, answer)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.settled)
	l.settled = make(chan struct{})
}

func (l *Lease) failed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.down && !isRefusal(err) {
		l.log.Warn("the lease of this node cannot be renewed: if it is killed now, its callbacks do not run", "error", err)
	}
	l.down = true
}

func (l *Lease) renewed(began time.Time, answer string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		l.log.Info("the lease of this node is renewed again")
	}
	if l.held && (l.down || answer == fresh) {
		l.records.changeAll()
	}
	if !l.held || l.down || !l.sure() {
		l.steady = began
	}
	l.held, l.down = true, false
	until := began.Add(l.ttl)
	l.until.Store(&until)
	nudge(l.wake)
}

// lost ends the connections before anybody is told that the lease is ours, under
// its new name.
func (l *Lease) lost() {
	l.mu.Lock()
	told, old := l.records.lose(), l.name
	l.mu.Unlock()
	l.log.Warn("this node was silent for too long, and another has run its callbacks: browsers are told to come back", "lease", l.ttl, "connections", len(told))
	l.connections.Taken(told)
	l.forget(old)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begin()
	l.down = false
	nudge(l.doubt)
}

// forget removes the note that we were taken over, which we have read.
func (l *Lease) forget(name string) {
	ctx, cancel := l.wait(context.Background())
	defer cancel()
	if err := l.redis.Del(ctx, l.keys.taken(name)).Err(); err != nil {
		l.log.Debug("a note that this node was taken over could not be removed: it goes by itself in a day", "error", err)
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

// Stats are the lease's numbers. TookOver and ClosedFor count from the start.
type Stats struct {
	Held      bool
	Others    []string // other nodes that have a lease; not to be changed
	Records   int
	Waiting   int   // of these and others, not written as they are now
	TookOver  int64 // nodes
	ClosedFor int64 // connections of these
}

// Stats may be called as often as one likes.
func (l *Lease) Stats() Stats {
	if l == nil {
		return Stats{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	held, others := l.held && !l.down && !l.refused.Load(), l.others
	if !held {
		others = nil // nobody knows
	}
	return Stats{Held: held, Others: others, Records: len(l.records.written), Waiting: l.records.waiting(), TookOver: l.tookOver.Load(), ClosedFor: l.closedFor.Load()}
}
