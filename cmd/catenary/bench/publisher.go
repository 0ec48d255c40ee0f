package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// publisher broadcasts to one of the streams.
type publisher interface {
	publish(ctx context.Context, stream int, message string) error
	close() error
}

// redisPublisher publishes like ActionCable.server.broadcast, without Rails.
type redisPublisher struct {
	client   *redis.Client
	channels []string
	timeout  time.Duration
}

// newRedisPublisher does not repeat the URL in its errors: it may contain a password.
func newRedisPublisher(o Options, streams []string) (*redisPublisher, error) {
	options, err := redis.ParseURL(o.RedisURL)
	if err != nil {
		return nil, errors.New("--redis-url is not a URL such as redis://localhost:6379/1")
	}
	options.MaxRetries = -1 // a retry could send a message twice, which would count as the server's fault
	p := &redisPublisher{client: redis.NewClient(options), timeout: o.Timeout}
	for _, stream := range streams {
		p.channels = append(p.channels, strings.ReplaceAll(o.RedisChannel, "{stream}", stream))
	}
	return p, nil
}

func (p *redisPublisher) publish(ctx context.Context, stream int, message string) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	if err := p.client.Publish(ctx, p.channels[stream], message).Err(); err != nil {
		return fmt.Errorf("publishing to Redis: %w", err)
	}
	return nil
}

func (p *redisPublisher) close() error { return p.client.Close() }

// actionPublisher has a client of the stream perform an action of the channel, with the message as
// its data.
type actionPublisher struct {
	crowd  *crowd
	action string
}

func (p actionPublisher) publish(_ context.Context, stream int, message string) error {
	return p.crowd.clients[stream].perform(p.action, message)
}

func (p actionPublisher) close() error { return nil }
