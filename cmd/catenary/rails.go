package main

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

	"github.com/catenary-cable/catenary/cmd/catenary/doctor"
	"github.com/catenary-cable/catenary/config"
	"github.com/catenary-cable/catenary/rpc"
)

// railsState is what we know of the app: whether it answers, and with what
// settings.
type railsState struct {
	backend *rpc.Client
	cfg     *config.Config // to advise what to do; nil if Rails is ours to start
	log     *slog.Logger
	probe   func(context.Context) error // in place of the gem, where there is none

	mu    sync.Mutex
	known bool
	err   error // why it does not answer; nil if it does
	began time.Time
	said  string // the error that the log has heard of

	told    *rpc.Settings             // what the app has told last
	consult func(*rpc.Settings) error // is told all that the app tells; may be nil
	unfit   error                     // what it says of that
}

// tell has the app's settings told to identify, whose error is why catenary is
// not ready, and to verify. identify may be nil.
func (r *railsState) tell(fits, identify func(*rpc.Settings) error, verify func(*rpc.Settings)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if identify != nil {
		r.unfit = errRulesUnknown
	}
	r.consult = func(s *rpc.Settings) error {
		verify(s)
		err := fits(s)
		if identify != nil {
			err = errors.Join(err, identify(s))
		}
		return err
	}
}

// complete waits for Rails, whose word counts wherever nobody has said otherwise.
func (r *railsState) complete(ctx, running context.Context, input config.Input, cfg *config.Config) (*config.Config, error) {
	if cfg.Unread != nil {
		r.log.Info("catenary asks Rails where broadcasts are published", "reason", cfg.Unread)
	}
	for {
		settings, err := r.ask(ctx)
		if err == nil {
			return completed(input, cfg, settings)
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

func completed(input config.Input, cfg *config.Config, settings *rpc.Settings) (*config.Config, error) {
	if settings.Cable == nil && cfg.Unread != nil {
		return cfg, fmt.Errorf("Rails does not tell where broadcasts are published, because the call does not go over loopback, a Unix socket or TLS, and %w: set broadcasts.redis.url and broadcasts.channel_prefix", cfg.Unread)
	}
	input.FromRails, input.RailsPaths, input.RailsThreads = settings.Cable, settings.Mounts(), settings.Threads
	told, err := config.Load(input)
	if err == nil && settings.Cable != nil {
		err = told.Unread
	}
	if err != nil {
		return cfg, err
	}
	told.Proxy, told.Backend = cfg.Proxy, cfg.Backend // a command that we have started has its own address and secret
	return told, nil
}

func (r *railsState) ask(ctx context.Context) (*rpc.Settings, error) {
	settings, err := r.settings(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tellOf(err)
	if err == nil && (!r.known || r.err != nil) {
		r.log.Info("Rails answers", attributes(settings)...)
		r.said = ""
	}
	r.known, r.err = r.known || err == nil, err
	if err == nil {
		r.told = settings
	}
	if err == nil && r.consult != nil {
		before := r.unfit
		if r.unfit = r.consult(settings); r.unfit != nil && (before == nil || before.Error() != r.unfit.Error()) {
			r.log.Error("catenary cannot serve with these settings of the app", "error", r.unfit)
		}
	}
	return settings, err
}

// bootTime is how long nothing is said of a Rails that we have started, and that
// does not answer yet.
const bootTime = time.Minute

// tellOf logs that Rails does not answer, once for each error. r.mu is held.
func (r *railsState) tellOf(err error) {
	if r.began.IsZero() {
		r.began = time.Now()
	}
	booting := !r.known && errors.Is(err, rpc.ErrNotSent)
	switch {
	case err == nil, r.said == err.Error():
		return
	case booting && r.cfg == nil && time.Since(r.began) < bootTime:
		if r.err == nil {
			r.log.Info("catenary waits for Rails to start")
		}
		return
	case booting && r.cfg != nil:
		r.log.Info("catenary waits for Rails", "error", err)
	default:
		r.log.Warn("Rails does not answer catenary", "error", err)
	}
	r.said = err.Error()
}

// attributes of an app are none where no gem tells them.
func attributes(s *rpc.Settings) []any {
	if s.Gem == "" {
		return nil
	}
	return []any{"rails", s.Rails, "gem", s.Gem, "environment", s.Environment}
}

func (r *railsState) settings(ctx context.Context) (*rpc.Settings, error) {
	if r.probe != nil {
		ctx, cancel := context.WithTimeout(ctx, askedWait)
		defer cancel()
		return &rpc.Settings{}, r.probe(ctx)
	}
	settings, err := r.backend.Settings(askedWait)
	if r.cfg == nil {
		return settings, err
	}
	return settings, advised(err, r.cfg)
}

// advised adds to an error what to do about it, as far as only the configuration
// knows that.
func advised(err error, cfg *config.Config) error {
	var connecting *net.OpError
	var answer *rpc.StatusError
	switch {
	case errors.As(err, &connecting) && connecting.Op == "dial":
		return fmt.Errorf("%w: start the app, or say with backend.url where it is", err)
	case errors.As(err, &answer) && answer.Status == http.StatusForbidden:
		return fmt.Errorf("%w; catenary's is from %s, for the environment %s", err, cfg.Backend.Secret.Sources(), cfg.Environment)
	}
	return err
}

// askedWait is how long Rails may take to say that it is there.
const askedWait = 10 * time.Second

// watch asks Rails now and then: at first for its threads, of which POSTs must
// leave one to the web; always in order to be able to say whether it answers.
func (r *railsState) watch(ctx context.Context, cfg *config.Config) {
	told := "" // environment that the log has heard of
	for pause := time.Duration(0); ; pause = r.pause() {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		settings, err := r.ask(ctx)
		if err == nil && settings.Threads > 1 && !cfg.FixesConcurrency() {
			r.backend.SetConcurrency(settings.Threads - 1)
		}
		if err == nil && settings.Environment != "" && settings.Environment != cfg.Environment && settings.Environment != told {
			told = settings.Environment
			r.log.Warn("Rails and catenary run in different environments: start both with the same RAILS_ENV", "rails", settings.Environment, "catenary", cfg.Environment)
		}
	}
}

// fits returns what is nil if browsers can come and hear, by what the app tells of
// its settings.
func fits(cfg *config.Config, backend *rpc.Client) func(*rpc.Settings) error {
	return func(s *rpc.Settings) error {
		if mounts := s.Mounts(); len(mounts) > 0 && !leadsToAny(cfg.Paths, mounts) {
			return fmt.Errorf("Rails has Action Cable at %s, and paths (from %s) names %s, where Rails answers browsers with 404: leave paths to Rails, or name there what it has",
				strings.Join(mounts, " "), cfg.Origin("paths"), strings.Join(cfg.Paths, " "))
		}
		if s.Cable == nil || backend.Transport() != rpc.Post { // over links it is tried, see broadcastProbe
			return nil
		}
		if f := misdirected(cfg, s); f.Verdict == doctor.Bad {
			return errors.New("browsers hear nothing: " + f.Text)
		}
		return nil
	}
}

// whyDeaf says what may be wrong if what Rails broadcasts does not arrive.
func (r *railsState) whyDeaf(cfg *config.Config) string {
	r.mu.Lock()
	told := r.told
	r.mu.Unlock()
	b := cfg.Broadcasts
	ours := fmt.Sprintf("catenary listens at %s (from %s) with %s (from %s)", b.Redis, cfg.Origin("broadcasts.redis.url"), prefixed(b.ChannelPrefix), cfg.Origin("broadcasts.channel_prefix"))
	if told == nil || told.Cable == nil {
		return ours + "; compare that with config/cable.yml as Rails reads it"
	}
	if f := misdirected(cfg, told); f.Text != "" {
		return f.Text
	}
	return ours + ", as Rails says that it publishes, but it is not the same Redis: look where that name leads on either machine"
}

func (r *railsState) pause() time.Duration {
	if r.ready() != nil {
		return 500 * time.Millisecond
	}
	return 10 * time.Second
}

// settled is what the app has told last, nil if nothing yet.
func (r *railsState) settled() *rpc.Settings {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.told
}

// ready is nil if Rails has answered lately.
func (r *railsState) ready() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.known && r.err == nil {
		return errors.New("Rails has not been asked yet")
	}
	if r.err != nil {
		return r.err
	}
	return r.unfit
}
