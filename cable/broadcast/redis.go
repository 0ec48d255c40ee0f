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

// Redis hears what Rails' redis adapter publishes. It outlives any loss of
// Redis: where Rails' own listener gives up for good
// (subscription_adapter/redis.rb), this one goes on trying, says so in Ready,
// and takes up every stream again.
type Redis struct {
	options RedisOptions
	address string // for messages; without credentials
	client  redis.UniversalClient
	log     *slog.Logger

	subscriptions *subscriptions

	mu   sync.Mutex
	down error // why broadcasts do not arrive; nil when they do
}

// NewRedis checks the options and opens nothing. It silences go-redis' own
// logger, of which a process has one: it tells stderr of every failed dial,
// where we log a loss once and the return once.
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
	r.setDown(errors.New("the first connection is still to be made"))
	return r, nil
}

// Run listens until ctx ends and then returns nil: no trouble with Redis ends
// it. deliver is called by this goroutine only; while it blocks, Redis' output
// buffer fills. A Redis is run once.
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
			r.setDown(errors.New("it has been stopped"))
			return nil
		}
		r.setDown(err)
		if lostAt.IsZero() {
			lostAt = time.Now()
			if deaf := (*deafError)(nil); errors.As(err, &deaf) {
				lostAt = deaf.since
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

// Subscribe calls acknowledged once, when Redis has confirmed the stream, from
// Run's goroutine, or at once if it has already. It does not wait. Streams
// asked for while Redis is away are confirmed when it is back.
func (r *Redis) Subscribe(stream string, acknowledged func()) {
	r.subscriptions.want(stream, acknowledged)
}

// Unsubscribe ends a stream; whoever still waits for it is not called.
func (r *Redis) Unsubscribe(stream string) {
	r.subscriptions.unwant(stream)
}

// Publish sends a broadcast as Rails would. It is never retried, since it could
// be heard twice.
func (r *Redis) Publish(ctx context.Context, stream string, payload []byte) error {
	topic := topicOf(r.options.ChannelPrefix, stream)
	if err := r.client.Publish(ctx, topic, payload).Err(); err != nil {
		return fmt.Errorf("publishing to Redis at %s: %w", r.address, err)
	}
	return nil
}

// Ready is nil while broadcasts arrive for every stream that was asked for.
func (r *Redis) Ready() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down == nil {
		return nil
	}
	return fmt.Errorf("broadcasts do not arrive from Redis at %s (trying again): %w", r.address, r.down)
}

func (r *Redis) setDown(cause error) {
	r.mu.Lock()
	r.down = cause
	r.mu.Unlock()
}

// dial makes the listener's connection. go-redis connects, finds the master,
// authenticates and sets the name; from then on the bytes are ours. hangUp
// closes it.
func (r *Redis) dial(ctx context.Context, key string) (conn net.Conn, hangUp func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*r.options.Timeout)
	defer cancel()
	var options redis.Options
	switch client := r.client.(type) {
	case *redis.Client:
		options = *client.Options()
	case *redis.ClusterClient: // every node hears every broadcast: any will do
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
	options.PoolSize, options.PipelinePoolSize, options.MinIdleConns = 1, -1, 0
	options.MaxRetries, options.DialerRetries = -1, 1
	client := redis.NewClient(&options)
	held := client.Conn()
	if err := held.Ping(ctx).Err(); err != nil {
		_ = client.Close()
		return nil, nil, fmt.Errorf("connecting: %w", &unreachableError{err, advise(err, options.TLSConfig != nil)})
	}
	conn = <-dialled
	hangUp = func() {
		_ = conn.Close()
		_ = held.Close()
		_ = client.Close()
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		hangUp()
		return nil, nil, fmt.Errorf("connecting: %w", err)
	}
	return conn, hangUp, nil
}
