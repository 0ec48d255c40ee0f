package main

import (
	"time"

	"github.com/catenary-cable/catenary/cable"
	"github.com/catenary-cable/catenary/config"
)

func limits(cfg *config.Config) cable.Limits {
	return cable.Limits{
		Connections:   cfg.Limits.MaxConnections,
		MessageBytes:  cfg.Limits.MessageBytes,
		Subscriptions: cfg.Limits.SubscriptionsPerConnection,
		Commands:      cfg.Limits.PendingCommands,
		PendingBytes:  int(cfg.Limits.PendingBytes),

		SubscriptionBytes: int(cfg.Limits.SubscriptionBytes),
		MessageWait:       cfg.Limits.MessageTimeout,

		ConnectionsPerAddress: cfg.Limits.ConnectionsPerAddress,
		Handshakes:            cfg.Limits.HandshakesPerSecond,
		HandshakesPerAddress:  cfg.Limits.HandshakesPerSecondPerAddress,
		CommandRate:           cfg.Limits.CommandsPerSecond,
		CommandBurst:          cfg.Limits.CommandsBurst,

		Unanswered: cfg.Ping.Timeout,
		OpenWait:   cfg.Backend.OpenTimeout,
		CallWait:   cfg.Backend.Patience,
		CloseWait:  5 * time.Second,
	}
}
