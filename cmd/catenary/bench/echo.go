package bench

import (
	"context"
	"time"
)

// echo measures actions whose data the channel transmits back to the client.
func (r *run) echo(ctx context.Context) (map[string]float64, error) {
	crowd, current, err := r.audience(ctx, r.streamNames())
	if err != nil {
		return nil, err
	}
	defer crowd.close()
	performer := actionPublisher{crowd, r.Action}
	return r.rounds(ctx, crowd, current, r.Connections, func(client int, message string) error {
		return performer.publish(ctx, client, message)
	}, "round_trips", "cpu_us_per_round_trip", time.Microsecond, 1)
}
