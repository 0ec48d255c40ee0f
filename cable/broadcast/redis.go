package broadcast

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 3 * time.Second
)

var errSourceStopped = errors.New("the broadcast source has been stopped")

// Redis receives what Rails' redis adapter publishes. When it loses Redis it reconnects forever and
// subscribes to every stream again; meanwhile Ready reports an error. Rails' own listener gives up
// for good (subscription_adapter/redis.rb).
type Redis struct {
	options RedisOptions
	address string // for messages, without credentials
	client  redis.UniversalClient
	log     *slog.Logger

	subscriptions *subscriptions

	mu   sync.Mutex
	down error // why broadcasts do not arrive; nil if they do
}

// NewRedis checks the options and opens no connection. It disables go-redis' logger for the whole
// process, which prints every failed dial to stderr: we log each outage once, and its end.
func NewRedis(options RedisOptions, log *slog.Logger) (*Redis, error) {
	logging.Disable()
	client, err := options.Client()
	if err != nil {
		return nil, err
	}
	options = options.withDefaults()
	r := &Redis{
		options: options, client: client, log: log,
		subscriptions: newSubscriptions(options.ChannelPrefix),
	}
	switch c := client.(type) {
	case *redis.ClusterClient:
		r.address = "cluster " + strings.Join(options.Cluster, ",")
	case *redis.Client:
		r.address = c.Options().Addr
		if len(options.Sentinels) > 0 {
			r.address = "sentinels " + strings.Join(options.Sentinels, ",")
		}
	}
	r.setDown(errors.New("not connected yet"))
	return r, nil
}

// Run listens until ctx ends, whatever Redis does, and then returns nil. Only Run's goroutine calls
// deliver; while deliver blocks, Redis' output buffer fills. Call Run once.
func (r *Redis) Run(ctx context.Context, deliver func(stream string, payload []byte)) error {
	defer r.client.Close()
	var lostAt time.Time
	retry := firstRetry
	up := func() {
		retry = firstRetry
		r.setDown(nil)
		if lostAt.IsZero() {
			r.log.Info("broadcasts arrive", "redis", r.address)
			return
		}
		gap := time.Since(lostAt)
		lostAt = time.Time{}
		r.log.Info("broadcasts arrive again", "redis", r.address, "gap", gap.Round(time.Millisecond))
		r.options.Restored(gap)
	}
	for {
		err := r.listen(ctx, deliver, up)
		if ctx.Err() != nil {
			r.setDown(errSourceStopped)
			return nil
		}
		r.setDown(err)
		if lostAt.IsZero() {
			lostAt = time.Now()
			var silent *silenceError
			if errors.As(err, &silent) {
				lostAt = silent.since
			}
			r.log.Warn("broadcasts do not arrive", "redis", r.address, "error", err)
			r.options.Lost(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(retry/2 + rand.N(retry/2)):
			retry = min(2*retry, lastRetry)
		}
	}
}

// Subscribe does not wait. It calls acknowledged once: immediately if Redis has confirmed the
// stream already, otherwise from Run's goroutine when Redis confirms it, which may be after a
// reconnect.
func (r *Redis) Subscribe(stream string, acknowledged func()) {
	r.subscriptions.subscribe(stream, acknowledged)
}

// Unsubscribe leaves a stream. Acknowledgements still due for it are not called.
func (r *Redis) Unsubscribe(stream string) {
	r.subscriptions.unsubscribe(stream)
}

// Publish sends a broadcast as Rails would. It does not retry, because subscribers could receive
// the broadcast twice.
func (r *Redis) Publish(ctx context.Context, stream string, payload []byte) error {
	topic := topicOf(r.options.ChannelPrefix, stream)
	err := r.client.Publish(ctx, topic, payload).Err()
	if err != nil {
		return fmt.Errorf("publishing to Redis at %s: %w", r.address, err)
	}
	return nil
}

// Ready returns why broadcasts do not arrive now, or nil.
func (r *Redis) Ready() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down == nil {
		return nil
	}
	return fmt.Errorf("broadcasts do not arrive from Redis at %s (reconnecting): %w", r.address, r.down)
}

func (r *Redis) setDown(cause error) {
	r.mu.Lock()
	r.down = cause
	r.mu.Unlock()
}

// dial opens the listener's connection. go-redis connects, finds the master, authenticates and sets
// the client name; then we take over its net.Conn, which hangUp closes. key selects a node of a
// Cluster.
func (r *Redis) dial(ctx context.Context, key string) (conn net.Conn, hangUp func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*r.options.Timeout)
	defer cancel()
	var options redis.Options
	switch client := r.client.(type) {
	case *redis.Client:
		options = *client.Options()
	case *redis.ClusterClient: // any node will do: each receives every broadcast
		node, err := client.MasterForKey(ctx, key)
		if err != nil {
			return nil, nil, fmt.Errorf("finding a cluster node: %w", err)
		}
		options = *node.Options()
	}
	dial := options.Dialer
	dialled := make(chan net.Conn, 1)
	options.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err == nil {
			select {
			case dialled <- conn:
			default:
			}
		}
		return conn, err
	}
	options.PoolSize = 1
	options.PipelinePoolSize = -1
	options.MinIdleConns = 0
	options.MaxRetries = -1
	options.DialerRetries = 1
	client := redis.NewClient(&options)
	held := client.Conn()
	err = held.Ping(ctx).Err()
	if err != nil {
		_ = client.Close()
		return nil, nil, fmt.Errorf("connecting: %w", &unreachableError{err, advise(err, options.TLSConfig != nil)})
	}
	conn = <-dialled
	hangUp = func() {
		_ = conn.Close()
		_ = held.Close()
		_ = client.Close()
	}
	err = conn.SetDeadline(time.Time{})
	if err != nil {
		hangUp()
		return nil, nil, fmt.Errorf("connecting: %w", err)
	}
	return conn, hangUp, nil
}
