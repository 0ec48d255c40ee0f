package bench

import (
	"context"
	"fmt"
	"time"
)

// storm measures what a deploy causes: all clients connect and subscribe at once.
func (r *run) storm(ctx context.Context) (map[string]float64, error) {
	crowd := newCrowd(r.target, r.Connections, r.streamNames(), func(*client, []byte) {})
	defer crowd.close()
	usage, began := startUsage(r.processes), time.Now()
	title := fmt.Sprintf("opening %d connections at once", r.Connections)
	count := func() int { return int(crowd.confirmed.Load()) }
	r.progress.during(title, r.Connections, count, func() error {
		crowd.open(ctx, r.Connections)
		return nil
	})
	took, confirmed := time.Since(began), float64(crowd.confirmed.Load())
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if confirmed == 0 {
		return nil, crowd.complete()
	}
	figures := map[string]float64{
		"confirmed":        confirmed,
		"failed":           float64(crowd.failed.Load()),
		"confirmed_per_s":  confirmed / took.Seconds(),
		"confirm_first_ms": milliseconds(time.Duration(crowd.first.Load())),
		"confirm_p50_ms":   milliseconds(crowd.confirm.percentile(.5)),
		"confirm_p99_ms":   milliseconds(crowd.confirm.percentile(.99)),
		"confirm_max_ms":   milliseconds(crowd.confirm.max()),
	}
	r.spread = crowd.confirm.bins()
	usage.record(figures, "cpu_us_per_connection", time.Microsecond, confirmed)
	return figures, nil
}
