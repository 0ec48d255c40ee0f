package hub

import (
	"context"
	"hash/maphash"
	"log/slog"
	"strings"
	"time"

	"github.com/catenary-cable/catenary/cable/history"
	"github.com/catenary-cable/catenary/cable/stats"
	"golang.org/x/sync/errgroup"
)

// shards is how many parts the streams are divided into, each with a goroutine that
// delivers. A stream always belongs to the same shard, which keeps its broadcasts in order.
const shards = 16

// Hub delivers every broadcast to the members of its stream. It subscribes to streams at
// the source as Rails' actioncable/lib/action_cable/subscription_adapter/subscriber_map.rb
// does.
type Hub struct {
	source      Source
	dropped     *stats.ThrottledCounter // broadcasts, by reason
	seed        maphash.Seed
	onBroadcast func(bytes int) // may be nil
	unnumbered  *stats.ThrottledCounter
	numbers     func(stream string) bool // may be nil
	shards      [shards]shard
}

// New returns a hub; Run makes it work.
func New(source Source, log *slog.Logger) *Hub {
	h := &Hub{
		source: source, seed: maphash.MakeSeed(), dropped: stats.NewThrottledCounter("broadcasts dropped", log),
		unnumbered: stats.NewThrottledCounter("broadcasts are not kept for clients that ask for history", log),
	}
	for i := range h.shards {
		h.shards[i].init()
	}
	return h
}

// Ready returns why broadcasts do not arrive now, or nil.
func (h *Hub) Ready() error { return h.source.Ready() }

// OnBroadcast sets a function that is called with the bytes of each broadcast before it
// is queued. While it blocks, the source waits. Call OnBroadcast before Run.
func (h *Hub) OnBroadcast(f func(bytes int)) { h.onBroadcast = f }

// ExpectNumbers sets a function that reports whether the broadcasts of a stream should have numbers. Call
// it before Run.
func (h *Hub) ExpectNumbers(f func(stream string) bool) { h.numbers = f }

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

// deliver queues a broadcast for its stream's shard. It blocks while the shard's queue
// is over queueBytes, so that memory stays bounded.
func (h *Hub) deliver(name string, payload []byte) {
	if h.onBroadcast != nil {
		h.onBroadcast(len(payload))
	}
	shard := h.shard(name)
	s := shard.find(name)
	if s == nil {
		return
	}
	if h.numbers != nil {
		h.checkNumber(name, payload)
	}
	shard.push(s, payload)
}

// checkNumber counts a broadcast that should have a number and has none. catenary's own disconnects
// have none.
func (h *Hub) checkNumber(name string, payload []byte) {
	if !h.numbers(name) || strings.HasPrefix(name, ConnectionStreams) {
		return
	}
	if _, position := history.CutNumber(payload); position.Offset == 0 {
		h.unnumbered.Add("published without the gem, or Redis refused to keep it", "stream", name)
	}
}

// Join makes m a member of a stream under an identifier ("" with a callback). It reports
// whether the stream is live; if not, m.Subscriber.Live is called when it is. While the
// source is not ready, no stream counts as live, and Join subscribes to it again.
func (h *Hub) Join(name, identifier string, m *Member) (live bool) {
	shard := h.shard(name)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	s := shard.streams[name]
	switch {
	case s == nil:
		s = shard.add(name)
		h.subscribe(shard, s)
	case h.source.Ready() != nil && s.resetLive():
		h.subscribe(shard, s)
	}
	return s.add(identifier, m)
}

func (h *Hub) subscribe(shard *shard, s *stream) {
	began := time.Now()
	h.source.Subscribe(s.name, func() {
		shard.countSubscribe(time.Since(began))
		s.acknowledge()
	})
}

// Leave ends a membership; only the first call counts. Socket gets nothing afterwards. Callback
// may still be called for broadcasts whose delivery has begun.
func (h *Hub) Leave(m *Member) {
	s := m.stream
	shard := h.shard(s.name)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if m.left {
		return
	}
	left := s.remove(m)
	if left == 0 {
		shard.remove(s.name)
		h.source.Unsubscribe(s.name)
	}
}

// Listen calls f with every payload of one of catenary's own streams, until Leave is called
// with the returned member.
func (h *Hub) Listen(name string, f func(payload []byte)) *Member {
	m := &Member{Callback: func(b Broadcast) { f([]byte(b.Payload)) }}
	h.Join(name, "", m)
	return m
}

func (h *Hub) shard(name string) *shard {
	return &h.shards[maphash.String(h.seed, name)%shards]
}
