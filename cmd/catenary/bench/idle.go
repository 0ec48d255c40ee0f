package bench

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// idle measures connections that have subscribed and then only receive pings: the growth of the
// server's memory, and its CPU: first while the server may still be busy with opening them, then
// settled.
func (r *run) idle(ctx context.Context) (map[string]float64, error) {
	first, err := r.opened(ctx, min(r.Connections, 10), r.streamNames(), func(*client, []byte) {})
	if err != nil {
		return nil, err
	}
	first.close() // the server has now allocated what only the first connections need
	if err := r.wait(ctx, "waiting for the server to settle", r.Settle); err != nil {
		return nil, err
	}
	base := r.memory()
	var pings atomic.Int64
	var gaps histogram
	crowd, err := r.opened(ctx, r.Connections, r.streamNames(), func(c *client, frame []byte) {
		if !bytes.HasPrefix(frame, []byte(`{"type":"ping"`)) {
			return
		}
		now := time.Now()
		if !c.lastPing.IsZero() {
			gaps.add(now.Sub(c.lastPing))
		}
		c.lastPing = now
		pings.Add(1)
	})
	if err != nil {
		return nil, err
	}
	defer crowd.close()
	figures := map[string]float64{}
	for _, key := range []string{"cpu_us_per_ping_after_opening", "cpu_us_per_ping"} {
		before, usage := pings.Load(), startUsage(r.processes)
		if err := r.wait(ctx, fmt.Sprintf("watching %d idle connections", r.Connections), r.Hold); err != nil {
			return nil, err
		}
		figures["pings"] = float64(pings.Load() - before)
		usage.record(figures, key, time.Microsecond, figures["pings"])
	}
	figures["connections"] = float64(r.Connections)
	figures["ping_gap_max_ms"] = milliseconds(gaps.max())
	figures["dropped"] = float64(crowd.dropped.Load())
	for i, after := range r.memory() {
		each := (after - base[i]) / float64(r.Connections)
		figures["memory_kb_per_connection"] += each
		if len(base) > 1 {
			figures["memory_kb_per_connection."+r.processes[i].name] = each
		}
	}
	return figures, nil
}

func (r *run) memory() (kb []float64) {
	for _, p := range r.processes {
		kb = append(kb, p.memory())
	}
	return kb
}
