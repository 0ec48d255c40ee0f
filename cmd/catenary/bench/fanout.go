package bench

import (
	"context"
	"time"
)

// fanout measures broadcasts, from publishing until each subscriber has received them.
func (r *run) fanout(ctx context.Context) (map[string]float64, error) {
	streams := r.streamNames()
	crowd, current, err := r.audience(ctx, streams)
	if err != nil {
		return nil, err
	}
	defer crowd.close()
	var publisher publisher = actionPublisher{crowd, r.BroadcastAction}
	if r.RedisURL != "" {
		if publisher, err = newRedisPublisher(r.Options, streams); err != nil {
			return nil, err
		}
	}
	defer publisher.close()
	return r.rounds(ctx, crowd, current, len(streams), func(stream int, message string) error {
		return publisher.publish(ctx, stream, message)
	}, "deliveries", "cpu_s_per_million", time.Second, 1e6)
}
