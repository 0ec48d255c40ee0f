package rails

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"
)

// A command that runs, and does not listen on the port that it was given.
func TestRailsState_WarnsIfItsOwnRailsDoesNotListen(t *testing.T) {
	var log bytes.Buffer
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: net.UnknownNetworkError("connection refused")}
	r := &State{log: slog.New(slog.NewTextHandler(&log, nil)), probe: func(context.Context) error { return dial }}
	r.ask(t.Context())
	if text := log.String(); !strings.Contains(text, "waiting for Rails to start") || strings.Contains(text, "WARN") {
		t.Errorf("while Rails may be booting, it logs %s", text)
	}
	const advice = "does not listen on the port that catenary gave it: remove -p and the like"
	if err := r.Ready(); err == nil || !strings.Contains(err.Error(), advice) {
		t.Errorf("not ready: %v", err)
	}
	r.began = time.Now().Add(-bootTime)
	r.ask(t.Context())
	r.ask(t.Context())
	if text := log.String(); strings.Count(text, "level=WARN") != 1 || !strings.Contains(text, advice) {
		t.Errorf("after %v, it logs %s", bootTime, text)
	}
}
