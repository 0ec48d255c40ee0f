package status

import (
	"cmp"
	"slices"

	"github.com/catenary-cable/catenary/cable"
	"github.com/catenary-cable/catenary/cable/hub"
	"github.com/catenary-cable/catenary/rpc"
)

// Status returns the current status; it is empty before Run.
func (r *Recorder) Status() Status {
	streams := r.options.Streams(maxStreams)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.points) == 0 {
		return Status{}
	}
	now, then := &r.last, &r.past[0]
	status := Status{
		Node: r.options.Node, Version: r.options.Version, Started: r.started.UnixMilli(),
		NotReady: now.NotReady, Draining: now.Server.Draining,
		Now: r.points[len(r.points)-1], Nodes: now.Nodes, Gaps: now.Gaps, Memory: now.Memory,
		Handshakes: counts(now.handshakes(), then.handshakes()), Ends: counts(now.Server.Ends, then.Server.Ends),
		Streams:  Streams{All: streams.All, Busiest: shown(streams.Busiest), Largest: shown(streams.Largest)},
		CatchUps: catchUps(&now.Server),
		Queues:   Queues{now.Server.Backlog.Browsers, now.Server.Backlog.Bytes},
		Calls:    []Call{},
		Warnings: append([]string{}, warnings(now, then)...),
		Rails:    Rails{now.Transport, processes(now.Processes)},
	}
	seconds := max(now.At.Sub(then.At).Seconds(), 1)
	for do, calls := range now.Calls {
		took := calls.Took.since(then.Calls[do].Took)
		status.Calls = append(status.Calls, Call{
			Do: do, Text: inWords(do), Pace: float64(took.all) / seconds,
			Median: took.milliseconds(.5), Slow: took.milliseconds(.95),
			Failed: calls.Failed - then.Calls[do].Failed, All: calls.Took.all,
		})
	}
	slices.SortFunc(status.Calls, func(a, b Call) int {
		return cmp.Or(cmp.Compare(b.All, a.All), cmp.Compare(a.Do, b.Do))
	})
	return status
}

func catchUps(server *cable.Stats) CatchUps {
	counts := server.CatchUps
	return CatchUps{
		Refreshed: counts["refreshed"] + counts["refreshed_gap"],
		Pending:   server.Refreshes,
		Ignored:   counts["invalid"] + counts["shared"],
	}
}

// counts returns the counts that are not zero, most frequent in the last minute first.
func counts(now, then map[string]int64) []Count {
	found := []Count{}
	for reason, all := range now {
		if all > 0 {
			found = append(found, Count{reason, inWords(reason), all - then[reason], all})
		}
	}
	slices.SortFunc(found, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.Lately, a.Lately), cmp.Compare(b.All, a.All), cmp.Compare(a.Reason, b.Reason))
	})
	return found
}

// processes shows at most as many calls as running as a process has workers; the rest wait.
func processes(stats []rpc.ProcessStats) []Process {
	found := make([]Process, len(stats))
	for i, p := range stats {
		busy := min(p.InFlight, p.Workers)
		found[i] = Process{
			ID: Printable(p.ID), Workers: p.Workers, Busy: busy, Waiting: p.Waiting + p.InFlight - busy,
			Connections: p.Connections, Since: p.Since.UnixMilli(), Stopping: p.Stopping,
		}
		if p.Index >= 0 {
			found[i].PumaWorker = &p.Index
		}
	}
	return found
}

func shown(streams []hub.StreamStats) []Stream {
	found := make([]Stream, len(streams))
	for i, s := range streams {
		found[i] = Stream{
			Name: Printable(StreamName(s.Name)), Members: s.Members, Pace: s.Rate, Deliveries: s.Deliveries,
		}
		if raw := Printable(s.Name); raw != found[i].Name {
			found[i].Raw = raw
		}
	}
	return found
}
