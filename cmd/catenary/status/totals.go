package status

import (
	"time"

	"github.com/catenary-cable/catenary/cable"
	"github.com/catenary-cable/catenary/cable/hub"
	"github.com/catenary-cable/catenary/rpc"
)

// Totals are the program's numbers at one moment. Counters count from the start, so the difference
// of two Totals is what happened in between.
type Totals struct {
	At       time.Time
	NotReady string // why not, and what to do; "" if ready
	Warnings []string
	Server   cable.Stats
	Hub      hub.Stats
	Nodes    Nodes
	InFlight int              // calls sent to Rails and not answered yet
	Workers  int              // calls that Rails can run at once
	Waiting  int              // calls that wait for a worker
	Calls    map[string]Calls // by kind

	Transport string // link or post; "" before the first answer
	Processes []rpc.ProcessStats

	Gaps   Gaps
	Memory Memory
	CPU    time.Duration // used by the process since its start
}

// Calls are the calls to Rails of one kind.
type Calls struct {
	Took   Histogram
	Failed uint64 // calls that Rails did not answer
}

// Gaps are the times in which broadcasts may have been missed.
type Gaps struct {
	Count   int     `json:"count"`
	Seconds float64 `json:"seconds"` // of all gaps, including an open one
	Lasting bool    `json:"lasting"` // one is open
}

// Nodes are the other nodes, known by their leases.
type Nodes struct {
	Known  bool     `json:"known"` // this node has a lease itself
	Others []string `json:"others"`
}

// Memory is the process' memory.
type Memory struct {
	Heap       uint64 `json:"heap"` // bytes in use
	Held       uint64 `json:"held"` // resident bytes
	Goroutines uint64 `json:"goroutines"`
}

// handshakes counts all handshakes by outcome: "opened", "refused_" and Rails' reason, or
// catenary's reason.
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

// rejected counts the handshakes that catenary or Rails rejected.
func (t *Totals) rejected() int64 { return sum(t.Server.Rejected) + t.Server.RejectedByRails }

func (t *Totals) commands() int64 { return sum(t.Server.Commands) }

func sum(counts map[string]int64) (all int64) {
	for _, n := range counts {
		all += n
	}
	return all
}
