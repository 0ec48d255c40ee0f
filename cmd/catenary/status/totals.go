package status

import (
	"time"

	"github.com/catenary-cable/catenary/cable"
	"github.com/catenary-cable/catenary/cable/hub"
	"github.com/catenary-cable/catenary/rpc"
)

// Totals are the program's numbers at one moment. What is no number of now
// counts from the start, so that of two of them the difference tells what has
// happened between.
type Totals struct {
	At       time.Time
	NotReady string // why not and what to do; empty: it is ready
	Warnings []string
	Server   cable.Stats
	Hub      hub.Stats
	Nodes    Nodes
	InFlight int // calls that Rails has and has not answered
	Workers  int // calls that Rails runs at once
	Waiting  int // calls that wait for their turn
	Calls    map[string]Calls

	Transport string // link or post; empty: Rails has not been reached
	Processes []rpc.ProcessStats

	Gaps   Gaps
	Memory Memory
	CPU    time.Duration // that the process has used
}

// Calls are the calls to Rails of one kind.
type Calls struct {
	Took   Histogram
	Failed uint64 // of these, those that were not answered
}

// Gaps are the times in which broadcasts could be missed.
type Gaps struct {
	Count   int     `json:"count"`
	Seconds float64 `json:"seconds"` // of all, of one that lasts too
	Lasting bool    `json:"lasting"`
}

// Nodes are what this one knows of others, by their leases.
type Nodes struct {
	Known  bool     `json:"known"` // this one has a lease
	Others []string `json:"others"`
}

// Memory is the process' own.
type Memory struct {
	Heap       uint64 `json:"heap"` // bytes in use
	Held       uint64 `json:"held"` // bytes had from the system
	Goroutines uint64 `json:"goroutines"`
}

// handshakes are all that came, by what became of them.
func (t *Totals) handshakes() map[string]int64 {
	all := map[string]int64{"opened": t.Server.Opened}
	for reason, n := range t.Server.RailsRejections {
		all["refused_"+reason] = n
	}
	for reason, n := range t.Server.Rejected {
		all[reason] = n
	}
	return all
}

func (t *Totals) commands() int64 { return sum(t.Server.Commands) }

func sum(counts map[string]int64) (all int64) {
	for _, n := range counts {
		all += n
	}
	return all
}
