package status

import (
	"context"
	"encoding/json"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/catenary-cable/catenary/cable/hub"
	"github.com/catenary-cable/catenary/rpc"
)

// program is what a recorder reads; the test changes it.
type program struct {
	mu     sync.Mutex
	totals Totals
	looked int // for streams
}

func (p *program) change(f func(*Totals)) { p.mu.Lock(); defer p.mu.Unlock(); f(&p.totals) }

func (p *program) look() Totals {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.totals
	now.At = time.Now()
	return now
}

func (p *program) streams(int) hub.StreamsByTraffic {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looked++
	return hub.StreamsByTraffic{All: 1, Busiest: []hub.StreamStats{{Name: "a\x1b[2Jb", Members: 3, Rate: 5}}}
}

// started runs a recorder under virtual time, for as long as the test does.
func started(t *testing.T) (*program, *Recorder) {
	p := &program{}
	r := NewRecorder(Options{Node: "n-1", Version: "0", Look: p.look, Streams: p.streams})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	synctest.Wait()
	return p, r
}

func TestRecorder_ReportsRatesAndTheLastMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, r := started(t)
		for range 100 {
			p.change(func(totals *Totals) {
				totals.Server.Opened += 3
				totals.Server.Ends = map[string]int64{"browser_lost": totals.Server.Opened - 1, "slow": 0}
				totals.Server.Rejected = map[string]int64{"origin": 4}
				totals.Hub.Deliveries += 500
				totals.CPU += 250 * time.Millisecond
				calls := totals.Calls["frames"]
				calls.Took = calls.Took.Plus(NewHistogram(map[float64]uint64{0.001: 0, 0.01: 10, 0.1: 10}, 10))
				totals.Calls = map[string]Calls{"frames": calls}
			})
			time.Sleep(time.Second)
			synctest.Wait()
		}
		s := r.Status()
		if s.Now.Opened != 3 || s.Now.Ended != 3 || s.Now.Rejected != 0 || s.Now.Deliveries != 500 || s.Now.CPU != 0.25 {
			t.Errorf("%+v", s.Now)
		}
		if len(s.Ends) != 1 || s.Ends[0].All != 299 || s.Ends[0].Lately < 180 || s.Ends[0].Lately > 240 {
			t.Errorf("ends %+v", s.Ends)
		}
		if len(s.Calls) != 1 || s.Calls[0].Pace < 9.9 || s.Calls[0].Pace > 10.1 || math.Round(*s.Calls[0].Median) != 6 || s.Calls[0].All != 1000 {
			t.Errorf("calls %+v", s.Calls)
		}
		if s.Streams.Busiest[0].Name != "a\ufffd[2Jb" {
			t.Errorf("streams %+v", s.Streams)
		}
	})
}

func TestRecorder_ListsRailsProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, r := started(t)
		p.change(func(totals *Totals) {
			totals.Transport, totals.Workers = rpc.Link, 4
			totals.Processes = []rpc.ProcessStats{
				{ID: "b-1\x1b", Index: 1, Workers: 4, Connections: 30, InFlight: 6, Waiting: 10, Since: time.Now()},
				{ID: "b-2", Index: -1, Workers: 4, InFlight: 1, Stopping: true},
			}
		})
		time.Sleep(time.Second)
		synctest.Wait()
		text, err := json.Marshal(r.Status().Rails)
		const want = `{"transport":"link","processes":[` +
			`{"id":"b-1\ufffd","puma_worker":1,"workers":4,"busy":4,"waiting":12,"connections":30,"since":946684800000},` +
			`{"id":"b-2","workers":4,"busy":1,"waiting":0,"connections":0,"since":-62135596800000,"stopping":true}]}`
		if err != nil || strings.ReplaceAll(string(text), "\ufffd", `\ufffd`) != want {
			t.Errorf("%s, %v", text, err)
		}
		if r.Status().Now.Workers != 4 {
			t.Errorf("%+v", r.Status().Now)
		}
	})
}

func TestRecorder_KeepsTenMinutesAndNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, r := started(t)
		time.Sleep(time.Hour)
		synctest.Wait()
		history, err := r.watch(make(chan []byte, 1))
		var points []Point
		if json.Unmarshal(history, &points); err != nil || len(points) != maxPoints || len(r.past) != maxPast {
			t.Errorf("%d points, %d totals, %v", len(points), len(r.past), err)
		}
	})
}

func TestRecorder_ReadsStreamsOnlyWhileSomebodyWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, r := started(t)
		wait := func() int {
			time.Sleep(10 * time.Second)
			synctest.Wait()
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.looked
		}
		if looked := wait(); looked != 0 {
			t.Errorf("%d reads without a watcher", looked)
		}
		var each []chan []byte
		for range maxWatchers {
			statuses := make(chan []byte, 1)
			if _, err := r.watch(statuses); err != nil {
				t.Fatal(err)
			}
			each = append(each, statuses)
		}
		if _, err := r.watch(make(chan []byte, 1)); err == nil {
			t.Error("one watcher too many is accepted")
		}
		if looked := wait(); looked != 10 { // however many watch, and though none of them reads
			t.Errorf("%d reads in ten seconds", looked)
		}
		for _, statuses := range each {
			if !strings.Contains(string(<-statuses), `"node":"n-1"`) {
				t.Error("no status arrives")
			}
			r.unwatch(statuses)
		}
		if looked := wait(); looked != 10 {
			t.Errorf("%d reads after all watchers have gone", looked)
		}
	})
}

func TestRecorder_WarnsOfWhatIsProbablyWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, r := started(t)
		p.change(func(totals *Totals) {
			totals.Warnings = []string{"the program's own"}
			totals.Server.RailsRejections = map[string]int64{"origin": 3}
			totals.Server.Rejected = map[string]int64{"no_upgrade": 5, "token_expired": 9, "max_connections": 0}
			totals.Server.Guesses = map[string]string{"refused_origin": "the proxy", "no_upgrade": "nobody asked"}
			totals.Workers, totals.Waiting = 4, 9
			totals.Processes = []rpc.ProcessStats{{Workers: 4, InFlight: 8}}
		})
		time.Sleep(time.Second)
		synctest.Wait()
		s := r.Status()
		want := []string{"the program's own", "3 handshakes rejected in the last minute (Rails: origin): the proxy", "All 4 workers of Rails are busy and 9 calls are waiting"}
		if len(s.Warnings) != len(want) {
			t.Fatalf("%q", s.Warnings)
		}
		for i := range want {
			if !strings.HasPrefix(s.Warnings[i], want[i]) {
				t.Errorf("%q, want %q", s.Warnings[i], want[i])
			}
		}
		p.change(func(totals *Totals) { totals.Warnings, totals.Waiting = nil, 0 })
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if s := r.Status(); len(s.Warnings) != 0 {
			t.Errorf("it still warns: %q", s.Warnings)
		}
	})
}
