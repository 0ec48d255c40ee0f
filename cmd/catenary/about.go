package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"

	"github.com/catenary-cable/catenary/cmd/catenary/doctor"
	"github.com/catenary-cable/catenary/config"
	"github.com/catenary-cable/catenary/rpc"
)

// about is what the doctor is told: what this catenary works with, and what is
// wrong. There are no secrets in it, nor addresses of browsers.
func (a *assembly) about(cfg *config.Config) doctor.Running {
	root, err := filepath.Abs(cfg.Root)
	if err != nil {
		root = cfg.Root
	}
	r := doctor.Running{
		Version: version, Root: root, Environment: cfg.Environment, Command: a.command,
		Listen: a.front.listener.Addr().String(), Paths: cfg.Paths, Proxy: cfg.Proxy, TLS: cfg.TLS.Certificate != "", Origins: cfg.AllowedRequestOrigins,
		Backend: cfg.Backend.URL, Secret: cfg.Backend.Secret.Source(), PassesAll: cfg.PassesAll(),
		Transport: a.backend.Transport(), PostReason: a.backend.PostReason(),
	}
	for _, p := range a.backend.Processes() {
		r.Processes = append(r.Processes, doctor.Process{ID: p.ID, Index: p.Index, Count: p.Count, Workers: p.Workers})
	}
	if err := a.rails.ready(); err != nil {
		r.Trouble.Rails = err.Error()
	}
	if err := a.ready.broadcasts(); err != nil {
		r.Trouble.Broadcasts = err.Error()
	}
	if told := a.rails.settled(); told != nil {
		settings := *told
		settings.Cable, settings.Turbo = nil, nil
		r.Rails = &settings
		switch f := a.compared.with(cfg, told); {
		case r.Transport != rpc.Post: // it is tried
		case f.Verdict == doctor.Bad && r.Trouble.Broadcasts == "":
			r.Trouble.Broadcasts = f.Text
		case f.Verdict == doctor.Doubt:
			r.Trouble.Doubt = f.Text
		}
	}
	r.Broadcasts = heardAt(cfg.Broadcasts)
	return r
}

// warnings are what the status page shows above all else, besides why catenary is
// not ready.
func (a *assembly) warnings() (all []string) {
	about := a.about(a.settled.Load())
	if deaf := about.Trouble.Broadcasts; deaf != "" && a.ready.check() == nil {
		all = append(all, hearNothing+deaf)
	}
	if about.Trouble.Doubt != "" {
		all = append(all, "Browsers may hear nothing: "+about.Trouble.Doubt)
	}
	if about.PostReason != "" {
		all = append(all, "Calls go by POST: "+about.PostReason+"; effects of threads and jobs after a command are lost")
	}
	if r := about.Rails; r != nil && r.Environment != "" && r.Environment != about.Environment {
		all = append(all, fmt.Sprintf("Rails runs in %s, catenary in %s: start both with the same RAILS_ENV", r.Environment, about.Environment))
	}
	return all
}

// comparison remembers what misdirected has found, which is asked once a second.
type comparison struct {
	mu       sync.Mutex
	cfg      *config.Config
	settings *rpc.Settings
	found    doctor.Finding
}

func (c *comparison) with(cfg *config.Config, settings *rpc.Settings) doctor.Finding {
	if settings.Cable == nil {
		return doctor.Finding{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cfg != cfg || c.settings != settings {
		c.cfg, c.settings, c.found = cfg, settings, misdirected(cfg, settings)
	}
	return c.found
}

// heardAt says which broadcasts arrive.
func heardAt(b config.Broadcasts) string {
	if b.Adapter == "rails" {
		return "Rails listens to what it broadcasts, and tells catenary"
	}
	return fmt.Sprintf("what is published at %s with %s arrives", b.Redis, prefixed(b.ChannelPrefix))
}

func (a *assembly) serveAbout(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(a.about(a.settled.Load()))
}
