package main

import (
	"fmt"
	"log/slog"

	"github.com/catenary-cable/catenary/cable/history"
	"github.com/catenary-cable/catenary/cable/lease"
	"github.com/catenary-cable/catenary/cmd/catenary/broadcasts"
	"github.com/catenary-cable/catenary/config"
)

// newLease lets other nodes run this one's disconnect callbacks if it is killed. It returns nil
// where that is impossible: without Redis, or where everything is passed through.
func newLease(cfg *config.Config, secret string, log *slog.Logger) (*lease.Lease, error) {
	if cfg.Nodes.Lease == 0 || cfg.Broadcasts.Adapter != "redis" || cfg.PassesAll() {
		return nil, nil
	}
	redis, err := broadcasts.RedisOptions(cfg.Broadcasts).Client()
	if err != nil {
		return nil, fmt.Errorf("broadcasts.redis: %w", err)
	}
	return lease.New(lease.Options{
		Redis: redis, Prefix: cfg.Broadcasts.ChannelPrefix, Node: node(), Secret: secret,
		TTL: cfg.Nodes.Lease, Log: log,
	}), nil
}

// newHistory returns a reader of the broadcasts that the gem keeps in Redis, or nil if broadcasts
// do not come from Redis.
func newHistory(cfg *config.Config) (*history.History, error) {
	if cfg.Broadcasts.Adapter != "redis" || cfg.PassesAll() {
		return nil, nil
	}
	redis, err := broadcasts.RedisOptions(cfg.Broadcasts).Client()
	if err != nil {
		return nil, fmt.Errorf("broadcasts.redis: %w", err)
	}
	return history.New(history.Options{
		Redis: redis, Prefix: cfg.Broadcasts.ChannelPrefix, Bytes: int(cfg.Limits.PendingBytes),
	}), nil
}
