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

// AboutPath is where a catenary tells of itself, on its operations listener.
const AboutPath = "/about"

// Running is what it tells: nothing secret.
type Running struct {
	Version     string   `json:"version"`
	Root        string   `json:"root"`
	Environment string   `json:"environment"`
	Command     string   `json:"command,omitempty"` // that has started Rails; empty: none
	Listen      string   `json:"listen"`
	Paths       []string `json:"paths"`
	Proxy       bool     `json:"proxy"`
	TLS         bool     `json:"tls"`
	Origins     []string `json:"allowed_request_origins"` // catenary's own
	Backend     string   `json:"backend"`
	Secret      string   `json:"secret"` // where it comes from
	PassesAll   bool     `json:"passes_all"`

	Transport  string          `json:"transport"`
	PostReason string          `json:"post_reason,omitempty"` // why calls go by POST, though they need not
	Processes  []Process       `json:"processes"`
	Rails      *rpc.Settings   `json:"rails"` // nil: it has told nothing yet
	Broadcasts string          `json:"broadcasts"`
	Trouble    RunningTroubles `json:"trouble"`
}

// Process is one of Rails'.
type Process struct {
	ID      string `json:"id"`
	Index   int    `json:"index"` // of Puma's worker; -1: it has none
	Count   int    `json:"count"` // of Puma's workers; 0: not known
	Workers int    `json:"workers"`
}

// RunningTroubles are what keeps it from being ready, or may keep browsers from
// hearing; empty: nothing.
type RunningTroubles struct {
	Rails      string `json:"rails,omitempty"`
	Broadcasts string `json:"broadcasts,omitempty"`
	Doubt      string `json:"doubt,omitempty"` // about broadcasts
}

// ErrNoCatenary is said if something else answers.
var ErrNoCatenary = errors.New("what answers is no catenary of this version: is another program there, or an older catenary?")

// Ask asks the catenary whose operations listener is there. An error that is not
// ErrNoCatenary means that nobody answers.
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
	decoded := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(running)
	if response.StatusCode != http.StatusOK || decoded != nil || running.Version == "" {
		return nil, ErrNoCatenary
	}
	return running, nil
}

// Findings are what its word says about itself, Rails and broadcasts.
func (r *Running) Findings() (all []Finding) {
	tell := func(step string, verdict Verdict, format string, args ...any) {
		all = append(all, Finding{step, verdict, fmt.Sprintf(format, args...)})
	}
	what := "version " + r.Version + " runs in " + r.Root
	if r.Command != "" {
		what += ", and has started " + r.Command
	}
	tell("catenary", Good, "%s, environment %s", what, r.Environment)
	switch {
	case r.Trouble.Rails != "":
		tell("Rails", Bad, "%s", r.Trouble.Rails)
	case r.PassesAll:
		tell("Rails", Good, "the app at %s answers; everything is passed through to it", r.Backend)
	case r.Rails != nil && r.Rails.Gem != "":
		tell("Rails", Good, "%s with the gem %s answers", r.Rails.Rails, r.Rails.Gem)
	default:
		tell("Rails", Good, "the backend answers")
	}
	if r.Rails != nil && r.Rails.Environment != "" && r.Rails.Environment != r.Environment {
		tell("Rails", Doubt, "it runs in %s, catenary in %s: start both with the same RAILS_ENV", r.Rails.Environment, r.Environment)
	}
	switch {
	case r.PassesAll:
	case r.PostReason != "":
		tell("transport", Doubt, "calls go by POST: %s; docs/differences.md says what is lost", r.PostReason)
	case r.Transport == rpc.Post:
		tell("transport", Good, "calls go by POST, as backend.transport says")
	case r.Transport == rpc.Link:
		tell("transport", Good, "calls go over links: %s", Met(r.Processes))
	}
	switch {
	case r.Trouble.Broadcasts != "":
		tell("broadcasts", Bad, "browsers hear nothing: %s", strings.TrimPrefix(r.Trouble.Broadcasts, "browsers hear nothing: "))
	case r.Trouble.Doubt != "":
		tell("broadcasts", Doubt, "%s", r.Trouble.Doubt)
	case !r.PassesAll:
		tell("broadcasts", Good, "%s", r.Broadcasts)
	}
	return all
}

// Met says which processes are linked.
func Met(processes []Process) string {
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
