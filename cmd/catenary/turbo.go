package main

import (
	"log/slog"

	"github.com/catenary-cable/catenary/cable"
	"github.com/catenary-cable/catenary/cable/admission/turbo"
	"github.com/catenary-cable/catenary/config"
	"github.com/catenary-cable/catenary/rpc"
)

// verifying has the server verify Turbo's streams for as long as the app's
// settings allow it.
func verifying(t config.Turbo, server *cable.Server, log *slog.Logger) func(*rpc.Settings) {
	if !t.VerifyStreams {
		return func(*rpc.Settings) {}
	}
	said, first := "", true
	return func(s *rpc.Settings) {
		verifier, reason := verifierFor(t, s.Turbo)
		server.VerifyStreams(verifier)
		switch {
		case reason != "" && reason != said:
			log.Warn("turbo.verify_streams has no effect: Rails answers for Turbo's streams", "reason", reason)
		case reason == "" && (said != "" || first):
			log.Info("Turbo's streams are verified here")
		}
		said, first = reason, false
	}
}

// verifierFor is nil if the app's channel must run, and says why.
func verifierFor(t config.Turbo, told *rpc.TurboSettings) (v *turbo.Verifier, reason string) {
	switch {
	case told == nil:
		return nil, "the app has no Turbo::StreamsChannel"
	case told.Own != "":
		return nil, told.Own
	}
	keys := [][]byte{[]byte(t.Key.Reveal())}
	if t.Key.Missing() {
		keys = turbo.Keys(t.SecretKeyBase.Reveal())
		for _, other := range t.SecretKeyBase.Others() {
			keys = append(keys, turbo.Keys(other.Reveal())...)
		}
	}
	for _, key := range keys {
		if turbo.Check(key) == told.KeyCheck {
			return turbo.NewVerifier(key), ""
		}
	}
	if t.Key.Missing() {
		return nil, "the app signs with another key than its secret_key_base here (" + t.SecretKeyBase.Sources() + ") gives: set turbo.signed_stream_verifier_key"
	}
	return nil, "the app signs with another key than turbo.signed_stream_verifier_key"
}
