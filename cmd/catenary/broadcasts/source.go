package broadcasts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"

	"github.com/catenary-cable/catenary/cable/broadcast"
	"github.com/catenary-cable/catenary/cable/hub"
	"github.com/catenary-cable/catenary/config"
)

// Source is a hub.Source to which catenary can publish too.
type Source interface {
	hub.Source
	// Publish broadcasts as the app does.
	Publish(ctx context.Context, stream string, payload []byte) error
}

// New returns the source that the configuration names. It reports to gaps when broadcasts may
// be missed. rails are the linked processes, of which one listens with the adapter "rails"; nil in
// a process that has no links.
func New(cfg config.Broadcasts, rails broadcast.Processes, gaps *Gaps, log *slog.Logger) (Source, error) {
	if cfg.Adapter == "rails" {
		if rails == nil {
			return nil, errOnlyRails
		}
		return broadcast.NewRails(rails, broadcast.RailsOptions{Lost: gaps.lost, Restored: gaps.restored}, log), nil
	}
	options := RedisOptions(cfg)
	options.Lost, options.Restored = gaps.lost, gaps.restored
	redis, err := broadcast.NewRedis(options, log)
	if err != nil {
		return nil, fmt.Errorf("broadcasts.redis: %w", err)
	}
	return redis, nil
}

var errOnlyRails = errors.New("broadcasts come through Rails processes, to which only the running catenary has links: " +
	"run this beside it, or send it POST /disconnect at operations.listen")

// RedisOptions describe the Redis to which Rails publishes.
func RedisOptions(cfg config.Broadcasts) broadcast.RedisOptions {
	r := cfg.Redis
	options := broadcast.RedisOptions{
		URL: r.URL, ChannelPrefix: cfg.ChannelPrefix, Timeout: r.ConnectTimeout, ClientName: "catenary",
		TLS: broadcast.RedisTLS{
			Enabled: r.SSL, SkipVerify: r.SSLParams.VerifyMode == "none", SkipName: !r.SSLParams.VerifyHostname,
			CAFile: r.SSLParams.CAFile, CertFile: r.SSLParams.Cert, KeyFile: r.SSLParams.Key,
		},
		Username: r.Username, Password: r.Password, MasterName: r.MasterName,
		SentinelUsername: r.SentinelUsername, SentinelPassword: r.SentinelPassword, Cluster: r.Cluster,
	}
	for _, s := range r.Sentinels {
		options.Sentinels = append(options.Sentinels, net.JoinHostPort(s.Host, strconv.Itoa(s.Port)))
	}
	return options
}

// None is a source without broadcasts.
type None struct{}

func (None) Run(ctx context.Context, _ func(string, []byte)) error { <-ctx.Done(); return nil }
func (None) Subscribe(_ string, acknowledged func())               { acknowledged() }
func (None) Unsubscribe(string)                                    {}
func (None) Publish(context.Context, string, []byte) error         { return nil }
func (None) Ready() error                                          { return nil }
