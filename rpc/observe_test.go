package rpc

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestCalls_AreObservedWithTheirOutcomes(t *testing.T) {
	var mu sync.Mutex
	var seen []Observation
	began, release := make(chan struct{}), make(chan struct{})
	client := backend(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		answer := func(result string) { io.WriteString(w, `{"v":1,"process":"b","results":[`+result+`]}`) }
		switch text := string(body); {
		case strings.Contains(text, "slow"):
			began <- struct{}{}
			<-release
			answer(`{"status":200}`)
		case strings.Contains(text, "late"):
			time.Sleep(600 * time.Millisecond)
		case strings.Contains(text, "broken"):
			http.Error(w, "no", http.StatusInternalServerError)
		case strings.Contains(text, "raise"):
			answer(`{"status":200,"error":{"kind":"internal","message":"m"}}`)
		case strings.Contains(text, "unknown"):
			answer(`{"status":200,"need":"state"}`)
		default:
			answer(`{"status":200}`)
		}
	}, func(o *Options) {
		o.Concurrency, o.Queue, o.Timeout = 1, 1, 500*time.Millisecond
		o.Observe = func(one Observation) { mu.Lock(); seen = append(seen, one); mu.Unlock() }
	})
	last := func(do, outcome string) Observation {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		if len(seen) == 0 || seen[len(seen)-1].Do != do || seen[len(seen)-1].Outcome != outcome {
			t.Fatalf("observed %+v, not %s of %s", seen, outcome, do)
		}
		return seen[len(seen)-1]
	}
	for frame, outcome := range map[string]string{"fine": Answered, "raise": Raised, "broken": Failed, "late": TimedOut} {
		client.Call(t.Context(), Call{Connection: "n:1", Do: Frames, Frames: []string{frame}})
		if o := last(Frames, outcome); o.Took <= 0 {
			t.Errorf("%+v took no time", o)
		}
	}

	fill := func(c *Call, _ *Process) error { c.Frames = []string{"fine"}; return nil }
	unknown := Call{Connection: "n:1", Do: Frames, Version: "1", Frames: []string{"unknown"}, Fill: fill}
	client.Call(t.Context(), unknown)
	last(Frames, Answered)
	mu.Lock()
	if o := seen[len(seen)-2]; o.Do != Frames || o.Outcome != NeedsState {
		t.Errorf("observed %+v before the call in full", o)
	}
	mu.Unlock()

	var calling sync.WaitGroup
	calling.Go(func() { client.Call(t.Context(), Call{Connection: "n:1", Do: Frames, Frames: []string{"slow"}}) })
	<-began
	ctx, cancel := context.WithCancel(t.Context())
	calling.Go(func() { client.Call(ctx, Call{Connection: "n:2", Do: Open}) })
	for _, waiting := client.Load(); waiting == 0; _, waiting = client.Load() {
		time.Sleep(time.Millisecond)
	}
	client.Call(t.Context(), Call{Connection: "n:3", Do: Tick})
	last(Tick, Busy)
	cancel()
	for _, waiting := client.Load(); waiting > 0; _, waiting = client.Load() {
		time.Sleep(time.Millisecond)
	}
	close(release)
	calling.Wait()
	mu.Lock()
	defer mu.Unlock()
	for _, o := range seen[len(seen)-2:] {
		if o.Do == Open && (o.Outcome != Unsent || o.Waited <= 0 || o.Took != 0) || o.Do == Frames && o.Outcome != Answered {
			t.Errorf("%+v", o)
		}
	}
}
