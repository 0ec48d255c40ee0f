package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/catenary-cable/catenary/rpc"
)

// AboutPath is where a running catenary serves [Running], on its operations listener.
const AboutPath = "/about"

// Running is what a running catenary reports about itself. It has no secret in it.
type Running struct {
	Version     string   `json:"version"`
	Root        string   `json:"root"`
	Environment string   `json:"environment"`
	Command     string   `json:"command,omitempty"` // with which catenary has started Rails; empty: it has not
	Listen      string   `json:"listen"`
	Paths       []string `json:"paths"`
	Proxy       bool     `json:"proxy"`
	TLS         bool     `json:"tls"`
	Origins     []string `json:"allowed_request_origins"` // of catenary, not of Rails
	Backend     string   `json:"backend"`
	Secret      string   `json:"secret"` // the place it was read from
	PassesAll   bool     `json:"passes_all"`

	Transport  string          `json:"transport"`
	PostReason string          `json:"post_reason,omitempty"` // why calls go by POST although backend.transport is auto
	Processes  []Process       `json:"processes"`
	Rails      *rpc.Settings   `json:"rails"` // nil: Rails has not answered yet
	Broadcasts string          `json:"broadcasts"`
	Trouble    RunningTroubles `json:"trouble"`
}

// Process is a Rails process.
type Process struct {
	ID      string `json:"id"`
	Index   int    `json:"index"` // of Puma's worker; -1: none
	Count   int    `json:"count"` // of Puma's workers; 0: unknown
	Workers int    `json:"workers"`
}

// RunningTroubles are the reasons why a running catenary is not ready, or browsers may not receive
// broadcasts. Empty: no trouble.
type RunningTroubles struct {
	Rails      string `json:"rails,omitempty"`
	Broadcasts string `json:"broadcasts,omitempty"`
	Doubt      string `json:"doubt,omitempty"` // about broadcasts
	History    string `json:"history,omitempty"`
}

// ErrNoCatenary means that another program answers.
var ErrNoCatenary = errors.New("what answers is not a catenary of this version: is another program there, or an older catenary?")

// Ask asks the catenary with that operations listener about itself. An error other than
// ErrNoCatenary means that nothing answers.
func Ask(ctx context.Context, operations string) (*Running, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, operations+AboutPath, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	running := &Running{}
	invalid := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(running)
	if response.StatusCode != http.StatusOK || invalid != nil || running.Version == "" {
		return nil, ErrNoCatenary
	}
	return running, nil
}

// Findings are the findings on catenary itself, Rails and broadcasts.
func (r *Running) Findings() (all []Finding) {
	add := func(step string, verdict Verdict, format string, args ...any) {
		all = append(all, Finding{step, verdict, fmt.Sprintf(format, args...)})
	}
	what := "version " + r.Version + " runs in " + r.Root
	if r.Command != "" {
		what += ", and has started " + r.Command
	}
	add("catenary", Good, "%s, environment %s", what, r.Environment)
	switch {
	case r.Trouble.Rails != "":
		add("Rails", Bad, "%s", r.Trouble.Rails)
	case r.PassesAll:
		add("Rails", Good, "the app at %s answers; everything is passed through to it", r.Backend)
	case r.Rails != nil && r.Rails.Gem != "":
		add("Rails", Good, "%s with the gem %s answers", r.Rails.Rails, r.Rails.Gem)
	default:
		add("Rails", Good, "the backend answers")
	}
	if r.Rails != nil && r.Rails.Environment != "" && r.Rails.Environment != r.Environment {
		add("Rails", Doubt, "it runs in %s, catenary in %s: start both with the same RAILS_ENV", r.Rails.Environment, r.Environment)
	}
	switch {
	case r.PassesAll:
	case r.PostReason != "":
		add("transport", Doubt, "calls go by POST: %s; docs/differences.md lists what does not work then", r.PostReason)
	case r.Transport == rpc.Post:
		add("transport", Good, "calls go by POST, as backend.transport says")
	case r.Transport == rpc.Link:
		add("transport", Good, "calls go over links: %s", Linked(r.Processes))
	}
	switch {
	case r.Trouble.Broadcasts != "":
		add("broadcasts", Bad, "browsers receive nothing: %s", strings.TrimPrefix(r.Trouble.Broadcasts, "browsers receive nothing: "))
	case r.Trouble.Doubt != "":
		add("broadcasts", Doubt, "%s", r.Trouble.Doubt)
	case !r.PassesAll:
		add("broadcasts", Good, "%s", r.Broadcasts)
	}
	if r.Trouble.History != "" {
		add("history", Doubt, "%s", r.Trouble.History)
	}
	return all
}

// Linked describes the processes with a link.
func Linked(processes []Process) string {
	var each []string
	for _, p := range processes {
		name := "process " + p.ID
		if p.Index >= 0 && p.Count > 0 {
			name += fmt.Sprintf(" (Puma's worker %d, one of %d)", p.Index, p.Count)
		}
		each = append(each, fmt.Sprintf("%s runs %d commands at once", name, p.Workers))
	}
	return strings.Join(each, ", ")
}
