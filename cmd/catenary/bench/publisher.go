package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// A publisher broadcasts to one of the streams.
type publisher interface {
	publish(ctx context.Context, stream int, message string) error
	close() error
}

// redisPublisher does what ActionCable.server.broadcast does, without Rails.
type redisPublisher struct {
	client   *redis.Client
	channels []string
	timeout  time.Duration
}

// newRedisPublisher does not repeat the URL in its errors: it may hold a
// password.
func newRedisPublisher(o Options, streams []string) (*redisPublisher, error) {
	options, err := redis.ParseURL(o.RedisURL)
	if err != nil {
		return nil, errors.New("--redis-url is not a URL such as redis://localhost:6379/1")
	}
	options.MaxRetries = -1 // a message that is sent twice would be counted as the server's fault
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
		return fmt.Errorf("publish in Redis: %w", err)
	}
	return nil
}

func (p *redisPublisher) close() error { return p.client.Close() }

// actionPublisher asks the channel to: a client of the stream performs an
// action, with the message as its data.
type actionPublisher struct {
	crowd  *crowd
	action string
}

func (p actionPublisher) publish(_ context.Context, stream int, message string) error {
	return p.crowd.clients[stream].perform(p.action, message)
}

func (p actionPublisher) close() error { return nil }
