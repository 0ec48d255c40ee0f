package main

import (
	"log/slog"
	"time"

	"github.com/catenary-cable/catenary/cable"
	"github.com/catenary-cable/catenary/cable/admission"
	"github.com/catenary-cable/catenary/cable/admission/token"
	"github.com/catenary-cable/catenary/cmd/catenary/rails"
	"github.com/catenary-cable/catenary/config"
)

// newEdge configures what catenary decides about handshakes before it asks Rails.
func newEdge(cfg *config.Config, log *slog.Logger) (edge admission.Options, err error) {
	if edge.Origins, err = admission.ParseOrigins(cfg.AllowedRequestOrigins); err != nil {
		return edge, err
	}
	if edge.Proxies, err = admission.ParseProxies(cfg.TrustedProxies); err != nil {
		return edge, err
	}
	edge.Log = log
	j := cfg.JWT
	if !j.Given() {
		return edge, nil
	}
	edge.Tokens, err = token.New(token.Options{
		Places:     token.Places{Query: j.Query, Authorization: j.Authorization, Subprotocol: j.Subprotocol, Cookie: j.Cookie},
		Algorithms: j.Algorithms, Secret: j.Secret.Reveal(), RotationSecret: j.RotationSecret.Reveal(),
		PublicKeyFiles: j.PublicKeys, JWKSURL: j.JWKSURL,
		Issuer: j.Issuer, Audience: j.Audience, Scope: j.Scope,
		ExpiryOptional: !j.ExpiryRequired, IDRequired: j.IDRequired, Leeway: j.Leeway,
		Identify: rails.Templates(j.Identify), Optional: !j.Required, Log: log,
	})
	return edge, err
}

// limits are those of single connections, and of how long calls may wait.
func limits(cfg *config.Config) cable.Limits {
	l := cable.Limits{
		Connections:       cfg.Limits.MaxConnections,
		Subscriptions:     cfg.Limits.SubscriptionsPerConnection,
		SubscriptionBytes: int(cfg.Limits.SubscriptionBytes),
		Commands:          cfg.Limits.PendingCommands,
		OpenWait:          cfg.Backend.OpenTimeout,
		CallWait:          cfg.Backend.QueueTimeout,
	}
	l.Socket.MessageBytes = cfg.Limits.MessageBytes
	l.Socket.MessageWait = cfg.Limits.MessageTimeout
	l.Socket.PendingBytes = int(cfg.Limits.PendingBytes)
	l.Socket.CommandRate = cfg.Limits.CommandsPerSecond
	l.Socket.CommandBurst = cfg.Limits.CommandsBurst
	l.Socket.Unanswered = cfg.Ping.Timeout
	l.Socket.CloseWait = 5 * time.Second
	return l
}

// restart is what browsers do when their Rails process restarts.
func restart(cfg *config.Config) cable.Restart {
	return cable.Restart{Reconnect: cfg.Backend.Restart == "reconnect", Over: cfg.Shutdown.Drain}
}

// admissionLimits are those of handshakes.
func admissionLimits(cfg *config.Config) admission.Limits {
	return admission.Limits{
		ConnectionsPerAddress: cfg.Limits.ConnectionsPerAddress,
		Handshakes:            cfg.Limits.HandshakesPerSecond,
		HandshakesPerAddress:  cfg.Limits.HandshakesPerSecondPerAddress,
	}
}
