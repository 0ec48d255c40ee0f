package rails

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/broadcasts"
	"github.com/catenary-cable/catenary/cmd/catenary/child"
	"github.com/catenary-cable/catenary/cmd/catenary/doctor"
	"github.com/catenary-cable/catenary/cmd/catenary/front"
	"github.com/catenary-cable/catenary/config"
	"github.com/catenary-cable/catenary/rpc"
)

// State is what catenary knows about the app: whether it answers, and its settings.
type State struct {
	backend *rpc.Client
	cfg     *config.Config // for advice in errors; nil if catenary started Rails
	log     *slog.Logger
	probe   func(context.Context) error // replaces the gem's settings where everything is passed through

	mu     sync.Mutex
	known  bool      // Rails has answered at least once
	err    error     // of the last request; nil: Rails answered
	began  time.Time // the first request
	logged string    // the last error that was logged

	last       *rpc.Settings             // what the app reported last
	check      func(*rpc.Settings) error // is called with all settings; may be nil
	unsuitable error                     // what check returned last
}

// New returns what is known before the app has been asked: nothing. started says that catenary starts
// Rails itself, so that its address needs no advice.
func New(cfg *config.Config, started bool, log *slog.Logger) *State {
	s := &State{log: log, probe: ProbeOf(cfg)}
	if !started {
		s.cfg = cfg
	}
	return s
}

// AskOver sets the client that asks the app.
func (r *State) AskOver(backend *rpc.Client) { r.backend = backend }

// ConsultWith has all further settings passed to others, and to fits and identify, whose errors
// make catenary not ready. identify may be nil.
func (r *State) ConsultWith(fits, identify func(*rpc.Settings) error, others ...func(*rpc.Settings)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if identify != nil {
		r.unsuitable = errRulesUnknown
	}
	r.check = func(s *rpc.Settings) error {
		for _, receive := range others {
			receive(s)
		}
		err := fits(s)
		if identify != nil {
			err = errors.Join(err, identify(s))
		}
		return err
	}
}

// Complete waits for Rails, and returns the configuration with Rails' settings wherever neither
// files, environment nor flags have set a key.
func (r *State) Complete(ctx, running context.Context, input config.Input,
	cfg *config.Config) (*config.Config, error) {
	if cfg.Unread != nil {
		r.log.Info("asking Rails where broadcasts are published", "reason", cfg.Unread)
	}
	for {
		settings, err := r.ask(ctx)
		if err == nil {
			return Completed(input, cfg, settings)
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return cfg, fmt.Errorf("stopped while waiting for Rails: %w", err)
		case <-running.Done():
			return cfg, context.Cause(running)
		}
	}
}

// Completed returns the configuration with these settings of the app, as Complete does.
func Completed(input config.Input, cfg *config.Config, settings *rpc.Settings) (*config.Config, error) {
	if settings.Cable == nil && cfg.Unread != nil {
		return cfg, fmt.Errorf("Rails does not report where broadcasts are published, because the call does not "+
			"go over loopback, a Unix socket or TLS, and %w: set broadcasts.redis.url and broadcasts.channel_prefix",
			cfg.Unread)
	}
	input.FromRails = settings.Cable
	input.RailsPaths = settings.Mounts()
	input.RailsThreads = settings.Threads
	complete, err := config.Load(input)
	if err == nil && settings.Cable != nil {
		err = complete.Unread
	}
	if err != nil {
		return cfg, err
	}
	// Of a command that catenary has started, only cfg has the address and the secret.
	complete.Proxy, complete.Backend = cfg.Proxy, cfg.Backend
	return complete, nil
}

// ask requests the app's settings, and keeps what came of it for ready.
func (r *State) ask(ctx context.Context) (*rpc.Settings, error) {
	settings, err := r.settings(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.logError(err)
	if err == nil && (!r.known || r.err != nil) {
		r.log.Info("Rails answers", attributes(settings)...)
		r.logged = ""
	}
	r.known, r.err = r.known || err == nil, err
	if err != nil {
		return settings, err
	}
	r.last = settings
	if r.check == nil {
		return settings, nil
	}
	before := r.unsuitable
	r.unsuitable = r.check(settings)
	if r.unsuitable != nil && (before == nil || before.Error() != r.unsuitable.Error()) {
		r.log.Error("catenary cannot serve with these settings of the app", "error", r.unsuitable)
	}
	return settings, nil
}

// bootTime is how long a Rails that catenary started may be silent before that is logged.
const bootTime = time.Minute

// logError logs that Rails does not answer, once for each error. r.mu is held.
func (r *State) logError(err error) {
	if r.began.IsZero() {
		r.began = time.Now()
	}
	booting := !r.known && (errors.Is(err, rpc.ErrNotSent) || isDial(err))
	switch {
	case err == nil, r.logged == err.Error():
		return
	case booting && r.cfg == nil && time.Since(r.began) < bootTime:
		if r.err == nil {
			r.log.Info("waiting for Rails to start")
		}
		return
	case booting && r.cfg != nil:
		r.log.Info("waiting for Rails", "error", err)
	default:
		r.log.Warn("Rails does not answer", "error", err)
	}
	r.logged = err.Error()
}

// attributes describes the app in the log. Without the gem there is nothing to say.
func attributes(s *rpc.Settings) []any {
	if s.Gem == "" {
		return nil
	}
	return []any{"rails", s.Rails, "gem", s.Gem, "environment", s.Environment}
}

func (r *State) settings(ctx context.Context) (*rpc.Settings, error) {
	if r.probe != nil {
		ctx, cancel := context.WithTimeout(ctx, SettingsTimeout)
		defer cancel()
		return &rpc.Settings{}, Advised(r.probe(ctx), r.cfg)
	}
	settings, err := r.backend.Settings(SettingsTimeout)
	return settings, Advised(err, r.cfg)
}

// Advised adds advice to an error. cfg is nil if catenary started Rails.
func Advised(err error, cfg *config.Config) error {
	var answer *rpc.StatusError
	switch {
	case isDial(err) && cfg == nil:
		return fmt.Errorf("%w: Rails is starting, or does not listen on the port that catenary gave it: %s",
			err, child.PortAdvice)
	case isDial(err):
		return fmt.Errorf("%w: start the app, or set backend.url to where it listens", err)
	case cfg == nil:
		return err
	case errors.As(err, &answer) && answer.Status == http.StatusForbidden:
		return fmt.Errorf("%w; catenary's is from %s, for the environment %s", err,
			cfg.Backend.Secret.Sources(), cfg.Environment)
	}
	return err
}

// isDial reports whether nobody accepted a connection.
func isDial(err error) bool {
	var connecting *net.OpError
	return errors.As(err, &connecting) && connecting.Op == "dial"
}

// SettingsTimeout is how long Rails may take to report its settings.
const SettingsTimeout = 10 * time.Second

// Watch asks Rails for its settings until ctx is done: every 10 s while it answers, else every
// 500 ms. Of Rails' threads it leaves one to web requests, where calls go by POST.
func (r *State) Watch(ctx context.Context, cfg *config.Config) {
	logged := "" // the environment of the last warning
	for pause := time.Duration(0); ; pause = r.pause() {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		settings, err := r.ask(ctx)
		if err != nil {
			continue
		}
		if settings.Threads > 1 && !cfg.FixesConcurrency() {
			r.backend.SetConcurrency(settings.Threads - 1)
		}
		if e := settings.Environment; e != "" && e != cfg.Environment && e != logged {
			logged = e
			r.log.Warn("Rails and catenary run in different environments: start both with the same RAILS_ENV",
				"rails", e, "catenary", cfg.Environment)
		}
	}
}

func (r *State) pause() time.Duration {
	if r.Ready() != nil {
		return 500 * time.Millisecond
	}
	return 10 * time.Second
}

// Fits returns a function that checks the app's settings: with an error, browsers could not connect
// or would receive no broadcasts.
func Fits(cfg *config.Config, backend *rpc.Client) func(*rpc.Settings) error {
	return func(s *rpc.Settings) error {
		if mounts := s.Mounts(); len(mounts) > 0 && !front.MatchAny(cfg.Paths, mounts) {
			return fmt.Errorf("Rails has Action Cable at %s, but paths (from %s) is %s, where Rails answers 404: "+
				"remove paths, or set it to Rails' mount points",
				strings.Join(mounts, " "), cfg.Origin("paths"), strings.Join(cfg.Paths, " "))
		}
		if s.Cable == nil || backend.Transport() != rpc.Post { // over links, broadcasts are tested for real
			return nil
		}
		if f := Misdirected(cfg, s); f.Verdict == doctor.Bad {
			return errors.New(broadcasts.ReceiveNothing + f.Text)
		}
		return nil
	}
}

// MissingBroadcasts explains what may be wrong if Rails' broadcasts do not arrive.
func (r *State) MissingBroadcasts(cfg *config.Config) string {
	settings := r.Last()
	b := cfg.Broadcasts
	ours := fmt.Sprintf("catenary listens at %s (from %s) with %s (from %s)", b.Redis, cfg.Origin("broadcasts.redis.url"),
		prefixed(b.ChannelPrefix), cfg.Origin("broadcasts.channel_prefix"))
	if settings == nil || settings.Cable == nil {
		return ours + "; compare that with config/cable.yml as Rails reads it"
	}
	if f := Misdirected(cfg, settings); f.Text != "" {
		return f.Text
	}
	return ours + ", and Rails reports the same, but it is another Redis: " +
		"check what that name resolves to on either machine"
}

// Last returns what the app reported last, nil before that.
func (r *State) Last() *rpc.Settings {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// Ready returns nil if Rails answered the last request and its settings suit catenary.
func (r *State) Ready() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.known && r.err == nil {
		return errors.New("Rails has not been asked yet")
	}
	if r.err != nil {
		return r.err
	}
	return r.unsuitable
}
