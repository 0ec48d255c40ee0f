package rails

import (
	"log/slog"

	"github.com/catenary-cable/catenary/cable"
	"github.com/catenary-cable/catenary/cable/admission/turbo"
	"github.com/catenary-cable/catenary/config"
	"github.com/catenary-cable/catenary/rpc"
)

// Verifying returns a function that has the server verify Turbo's streams itself, while the app's
// settings allow it.
func Verifying(t config.Turbo, server *cable.Server, log *slog.Logger) func(*rpc.Settings) {
	if !t.VerifyStreams {
		return func(*rpc.Settings) {}
	}
	logged, first := "", true
	return func(s *rpc.Settings) {
		verifier, reason := verifierFor(t, s.Turbo)
		server.VerifyStreams(verifier)
		switch {
		case reason != "" && reason != logged:
			log.Warn("turbo.verify_streams has no effect, Rails verifies Turbo's streams", "reason", reason)
		case reason == "" && (logged != "" || first):
			log.Info("catenary verifies Turbo's streams")
		}
		logged, first = reason, false
	}
}

// CatchingUp has the server refresh Turbo's pages for as long as the app stamps them.
func CatchingUp(t config.Turbo, server *cable.Server, secret func() string, log *slog.Logger) func(*rpc.Settings) {
	wanted := t.CatchUp == "refresh"
	last := ""
	return func(s *rpc.Settings) {
		message, args := "", []any(nil)
		reason := unstamped(s)
		switch {
		case wanted && reason == "":
			server.CatchUp(turbo.NewStamps(secret()), s.ClockAhead)
		case wanted:
			server.CatchUp(nil, 0)
			message, args = "turbo.catch_up has no effect", []any{"reason", reason}
		case reason == "" && s.Turbo != nil:
			message = "the app stamps its pages, but turbo.catch_up is none here: set it to refresh, or remove it from the app"
		}
		if message != "" && message+reason != last {
			log.Warn(message, args...)
		}
		last = message + reason
	}
}

// unstamped returns why the app does not stamp pages, "" if it does.
func unstamped(s *rpc.Settings) string {
	switch {
	case s.Turbo == nil:
		return "the app has no Turbo::StreamsChannel"
	case s.Time == 0:
		return "the gem is too old: use the same version of the gem and of catenary"
	}
	return s.Turbo.Unstamped
}

// verifierFor returns nil and the reason if the app's channel must run.
func verifierFor(t config.Turbo, app *rpc.TurboSettings) (v *turbo.Verifier, reason string) {
	switch {
	case app == nil:
		return nil, "the app has no Turbo::StreamsChannel"
	case app.Own != "":
		return nil, app.Own
	}
	keys := [][]byte{[]byte(t.Key.Reveal())}
	if t.Key.Missing() {
		keys = turbo.Keys(t.SecretKeyBase.Reveal())
		for _, other := range t.SecretKeyBase.Others() {
			keys = append(keys, turbo.Keys(other.Reveal())...)
		}
	}
	for _, key := range keys {
		if turbo.Check(key) == app.KeyCheck {
			return turbo.NewVerifier(key), ""
		}
	}
	if t.Key.Missing() {
		return nil, "the app signs with another key than that of its secret_key_base (from " +
			t.SecretKeyBase.Sources() + "): set turbo.signed_stream_verifier_key"
	}
	return nil, "the app signs with another key than turbo.signed_stream_verifier_key"
}
