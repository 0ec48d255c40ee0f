package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestConformance plays every transcript against Rails' own Action Cable under Puma, which is the reference, and twice
// against catenary in front of the same application: once as usual, and once rebuilding the application's objects from
// their state at every command, as happens when Puma restarts or has several processes. SERVER=rails runs one of them;
// SERVER=identified plays all that can be played with tokens in place of connect, of which some is always played;
// the transcripts of Turbo are also played with catenary in place of its channel.
func TestConformance(t *testing.T) {
	transcripts := readTranscripts(t, projectRoot+"/testdata/transcripts")
	differences := readDifferences(t)
	differences.mustDeclareWhat(t, transcripts)

	var equal, different atomic.Int64
	t.Run("transcripts", func(t *testing.T) {
		find := sharedWorlds(t)
		atOnce := make(chan struct{}, 8)
		for _, tr := range transcripts {
			t.Run(tr.name, func(t *testing.T) {
				t.Parallel()
				if !tr.needs.holds(railsVersion()) {
					t.Skipf("for Rails %s %.1f", tr.needs.operator, tr.needs.version)
				}
				atOnce <- struct{}{}
				defer func() { <-atOnce }()
				same := true
				for _, server := range servers() {
					if server == "rails" && tr.only != "" || server == "identified" && !tr.identifiable() || server == "verified" && !strings.HasPrefix(tr.name, "turbo/") {
						continue
					}
					same = t.Run(server, func(t *testing.T) { converse(t, find, server, tr) }) && same
				}
				switch {
				case !same:
				case len(tr.differs) > 0:
					different.Add(1)
				default:
					equal.Add(1)
				}
			})
		}
	})
	fmt.Printf("Rails %s\nconformance: %d equal, %d different on purpose, %d not run\n",
		railsVersion(), equal.Load(), different.Load(), len(differences.notRun))
}

func servers() []string {
	if server := os.Getenv("SERVER"); server != "" {
		return []string{server}
	}
	return []string{"rails", "catenary", "rebuilt", "identified", "verified"}
}

func converse(t *testing.T, find func(server, kind string) (*world, error), server string, tr transcript) {
	if tr.world == "own" {
		find = startWorld
	}
	w, err := find(server, tr.world)
	if err != nil {
		t.Fatal(err)
	}
	if tr.world == "own" {
		defer w.close()
	}
	c := conversation{world: w, browsers: map[string]*browser{}}
	c.play(t, tr.stepsFor(server, railsVersion()))
}

// sharedWorlds starts each kind of world when it is first asked for, and ends all with the test.
func sharedWorlds(t *testing.T) func(server, kind string) (*world, error) {
	var mu sync.Mutex
	started := map[[2]string]func() (*world, error){}
	t.Cleanup(func() {
		for _, start := range started {
			if w, err := start(); err == nil {
				w.close()
			}
		}
	})
	return func(server, kind string) (*world, error) {
		key := [2]string{server, kind}
		mu.Lock()
		if started[key] == nil {
			started[key] = sync.OnceValues(func() (*world, error) { return startWorld(server, kind) })
		}
		start := started[key]
		mu.Unlock()
		return start()
	}
}
