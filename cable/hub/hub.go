package hub

import (
	"context"
	"hash/maphash"
	"log/slog"
	"time"

	"github.com/catenary-cable/catenary/cable/stats"
	"golang.org/x/sync/errgroup"
)

// shards is how many streams can be delivered side by side. A stream always
// belongs to the same shard, which keeps its order.
const shards = 16

// Hub brings every broadcast to the sockets that stream it. The first
// member of a stream subscribes to it at the source, the last to leave
// unsubscribes, as in Rails'
// actioncable/lib/action_cable/subscription_adapter/subscriber_map.rb.
type Hub struct {
	source  Source
	dropped *stats.ThrottledCounter // broadcasts, by reason
	seed    maphash.Seed
	before  func(bytes int) // may be nil
	shards  [shards]shard
}

// New makes a hub; Run makes it work.
func New(source Source, log *slog.Logger) *Hub {
	h := &Hub{
		source: source, seed: maphash.MakeSeed(), dropped: stats.NewThrottledCounter("broadcasts are dropped", log),
	}
	for i := range h.shards {
		h.shards[i].init()
	}
	return h
}

// Ready returns why broadcasts do not arrive now, or nil.
func (h *Hub) Ready() error { return h.source.Ready() }

// Before has f called before each broadcast is taken in, with its bytes. While
// it does not return, none is. It is set before Run.
func (h *Hub) Before(f func(bytes int)) { h.before = f }

// Run reads the source and delivers until ctx ends.
func (h *Hub) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for i := range h.shards {
		shard := &h.shards[i]
		group.Go(func() error { shard.run(h.dropped); return nil })
	}
	group.Go(func() error {
		defer func() {
			for i := range h.shards {
				h.shards[i].stop()
			}
		}()
		return h.source.Run(ctx, h.deliver)
	})
	return group.Wait()
}

// deliver hands a broadcast to its stream's shard. It waits if that shard has
// fallen far behind, so that memory stays bounded.
func (h *Hub) deliver(name string, payload []byte) {
	if h.before != nil {
		h.before(len(payload))
	}
	shard := h.shard(name)
	if s := shard.find(name); s != nil {
		shard.push(s, payload)
	}
}

// Join makes m a member of a stream under identifier ("" with a callback). It
// reports whether the stream is live; if not, m.Subscriber is told when it is.
// While the source is in trouble it is asked anew: a stream that was live may
// not be heard now.
func (h *Hub) Join(name, identifier string, m *Member) (live bool) {
	shard := h.shard(name)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	s := shard.streams[name]
	switch {
	case s == nil:
		s = &stream{name: name}
		shard.streams[name] = s
		h.subscribe(shard, s)
	case h.source.Ready() != nil && s.doubt():
		h.subscribe(shard, s)
	}
	return s.add(identifier, m)
}

func (h *Hub) subscribe(shard *shard, s *stream) {
	asked := time.Now()
	h.source.Subscribe(s.name, func() {
		shard.subscribed(time.Since(asked))
		s.acknowledge()
	})
}

// Leave ends a membership, once. Nothing is delivered to it afterwards.
func (h *Hub) Leave(m *Member) {
	s := m.stream
	shard := h.shard(s.name)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if !m.left && s.remove(m) == 0 {
		delete(shard.streams, s.name)
		h.source.Unsubscribe(s.name)
	}
}

// Listen calls f with every payload of one of our own streams, until the member
// leaves.
func (h *Hub) Listen(name string, f func(payload []byte)) *Member {
	m := &Member{Callback: func(payload string) { f([]byte(payload)) }}
	h.Join(name, "", m)
	return m
}

func (h *Hub) shard(name string) *shard {
	return &h.shards[maphash.String(h.seed, name)%shards]
}
