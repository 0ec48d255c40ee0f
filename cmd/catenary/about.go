package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"

	"github.com/catenary-cable/catenary/cmd/catenary/broadcasts"
	"github.com/catenary-cable/catenary/cmd/catenary/doctor"
	"github.com/catenary-cable/catenary/cmd/catenary/rails"
	"github.com/catenary-cable/catenary/config"
	"github.com/catenary-cable/catenary/rpc"
)

// about is what `catenary doctor` gets from a running catenary: its settings, and what is wrong. It
// contains neither secrets nor addresses of browsers.
func (a *assembly) about(cfg *config.Config) doctor.Running {
	root, err := filepath.Abs(cfg.Root)
	if err != nil {
		root = cfg.Root
	}
	r := doctor.Running{
		Version: version, Root: root, Environment: cfg.Environment, Command: a.command,
		Listen: a.front.Addr().String(), Paths: cfg.Paths, Proxy: cfg.Proxy,
		TLS: cfg.TLS.Certificate != "", Origins: cfg.AllowedRequestOrigins,
		Backend: cfg.Backend.URL, Secret: cfg.Backend.Secret.Source(), PassesAll: cfg.PassesAll(),
		Transport: a.backend.Transport(), PostReason: a.backend.PostReason(),
	}
	for _, p := range a.backend.Processes() {
		r.Processes = append(r.Processes, doctor.Process{ID: p.ID, Index: p.Index, Count: p.Count, Workers: p.Workers})
	}
	if err := a.rails.Ready(); err != nil {
		r.Trouble.Rails = err.Error()
	}
	if err := a.ready.broadcasts(); err != nil {
		r.Trouble.Broadcasts = err.Error()
	}
	if last := a.rails.Last(); last != nil {
		settings := *last
		settings.Cable, settings.Turbo = nil, nil
		r.Rails = &settings
		switch f := a.comparison.of(cfg, last); {
		case r.Transport != rpc.Post: // over links, broadcasts are tested for real
		case f.Verdict == doctor.Bad && r.Trouble.Broadcasts == "":
			r.Trouble.Broadcasts = f.Text
		case f.Verdict == doctor.Doubt:
			r.Trouble.Doubt = f.Text
		}
	}
	r.Broadcasts = rails.DescribeSource(cfg.Broadcasts)
	r.Trouble.History = a.missingHistory(r.Rails)
	return r
}

// missingHistory returns why clients that ask for history may miss broadcasts, or "". settings may be
// nil.
func (a *assembly) missingHistory(settings *rpc.Settings) string {
	if settings != nil && settings.History != nil && settings.History.Problem != "" {
		return "config.catenary.history has no effect: " + settings.History.Problem
	}
	hub := a.meters.Hub()
	if hub == nil {
		return ""
	}
	n := hub.Stats().Unnumbered
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d broadcasts on streams with a history came without a number, so they are not kept: do all processes "+
		"that broadcast have the gem and the same config.catenary.history? The log names streams", n)
}

func (a *assembly) serveAbout(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(a.about(a.current.Load()))
}

// warnings returns what the status page shows first, in addition to why catenary is not ready.
func (a *assembly) warnings() (all []string) {
	about := a.about(a.current.Load())
	if missing := about.Trouble.Broadcasts; missing != "" && a.ready.Check() == nil {
		all = append(all, broadcasts.ReceiveNothing+missing)
	}
	if about.Trouble.Doubt != "" {
		all = append(all, "Browsers may receive nothing: "+about.Trouble.Doubt)
	}
	if about.PostReason != "" {
		all = append(all, "Calls go by POST: "+about.PostReason+
			"; effects of threads and jobs after a command are lost")
	}
	if r := about.Rails; r != nil && r.Environment != "" && r.Environment != about.Environment {
		all = append(all, fmt.Sprintf("Rails runs in %s, catenary in %s: start both with the same RAILS_ENV",
			r.Environment, about.Environment))
	}
	return all
}

// comparison caches the result of rails.Misdirected, which is needed once a second.
type comparison struct {
	mu       sync.Mutex
	cfg      *config.Config
	settings *rpc.Settings
	finding  doctor.Finding
}

func (c *comparison) of(cfg *config.Config, settings *rpc.Settings) doctor.Finding {
	if settings.Cable == nil {
		return doctor.Finding{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cfg != cfg || c.settings != settings {
		c.cfg = cfg
		c.settings = settings
		c.finding = rails.Misdirected(cfg, settings)
	}
	return c.finding
}
