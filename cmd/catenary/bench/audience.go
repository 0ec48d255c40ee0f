package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// audience opens a crowd that passes its frames to the current round.
func (r *run) audience(ctx context.Context, streams []string) (*crowd, *atomic.Pointer[round], error) {
	current := new(atomic.Pointer[round])
	crowd, err := r.opened(ctx, r.Connections, streams, func(c *client, frame []byte) {
		if round := current.Load(); round != nil {
			round.receive(c, frame)
		}
	})
	return crowd, current, err
}

// rounds plays a short round to warm up, and then the measured one. what is the figure of
// deliveries, and cpu that of the CPU for each per of them, in unit.
func (r *run) rounds(ctx context.Context, crowd *crowd, current *atomic.Pointer[round], groups int,
	send func(int, string) error, what, cpu string, unit time.Duration, per float64) (map[string]float64, error) {
	slow := r.Options
	slow.Rate, slow.InFlight = 0, 1
	warm := newRound(slow, min(r.Messages, 10), groups)
	current.Store(warm)
	if err := r.play(ctx, "warming up", warm, send); err != nil {
		return nil, err
	}
	measured := newRound(r.Options, r.Messages, groups)
	current.Store(measured)
	usage := startUsage(r.processes)
	if err := r.play(ctx, fmt.Sprintf("sending %d messages", r.Messages), measured, send); err != nil {
		return nil, err
	}
	figures := map[string]float64{}
	usage.record(figures, cpu, unit, float64(measured.delivered.Load())/per)
	crowd.close() // from here on, receipts may be read
	measured.record(figures, what)
	r.spread = measured.latency.bins()
	for _, c := range crowd.clients {
		if c.receipt.round == measured {
			figures["duplicated"] += float64(c.receipt.duplicates)
			figures["reordered"] += float64(c.receipt.reordered)
		}
	}
	figures["dropped"] = float64(crowd.dropped.Load())
	return figures, nil
}

func (r *round) record(figures map[string]float64, what string) {
	owed, delivered := 0, float64(r.delivered.Load())
	for i := range r.messages {
		owed += r.members(i % r.groups)
	}
	figures[what] = delivered
	figures[what+"_per_s"] = delivered / time.Duration(r.last.Load()).Seconds()
	figures["lost"] = float64(owed) - delivered
	figures["duplicated"], figures["reordered"] = 0, 0
	for name, p := range map[string]float64{"p50": .5, "p95": .95, "p99": .99} {
		figures["latency_"+name+"_ms"] = milliseconds(r.latency.percentile(p))
	}
	figures["latency_max_ms"] = milliseconds(r.latency.max())
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
