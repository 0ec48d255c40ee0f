package rpc

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

type bootKey struct{}

// cluster is a Rails of several processes, which take new wires in turn. What is asked short of a process that does not hold
// it, is answered with need. After end the process b1 takes none any more.
func cluster(t *testing.T, processes int) (client *Client, end func()) {
	t.Helper()
	var wires atomic.Int64
	var ended atomic.Bool
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		boot := r.Context().Value(bootKey{}).(string)
		body, _ := io.ReadAll(r.Body)
		time.Sleep(time.Millisecond)
		result := `{"status":200}`
		switch {
		case strings.Contains(string(body), `"calls":[]`):
			result = ""
		case !strings.Contains(string(body), `"conn":"`+boot+`"`):
			result = `{"need":"state"}`
		}
		fmt.Fprintf(w, `{"v":1,"boot":%q,"results":[%s]}`, boot, result)
	}))
	server.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		boot := fmt.Sprint("b", wires.Add(1)%int64(processes))
		if boot == "b1" && ended.Load() {
			boot = "b0"
		}
		return context.WithValue(ctx, bootKey{}, boot)
	}
	server.Start()
	t.Cleanup(server.Close)
	client, err := NewClient(Options{URL: server.URL, Secret: "secret", Node: "n", Timeout: 5 * time.Second, Concurrency: 12, Queue: 1000, ReplyBytes: 1 << 16})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client, func() {
		ended.Store(true)
		client.pool.mu.Lock()
		defer client.pool.mu.Unlock()
		for _, w := range client.pool.idle["b1"] {
			w.Close()
		}
	}
}

func TestCall_ReachesTheProcessThatHoldsTheObjects(t *testing.T) {
	client, _ := cluster(t, 3)
	var calls sync.WaitGroup
	for i := range 300 {
		calls.Go(func() {
			boot := fmt.Sprint("b", i%3)
			reply, err := client.Call(t.Context(), boot, Call{Connection: boot, Do: Frames, Frames: []string{"x"}})
			if err != nil || reply.Boot != boot || reply.Results[0].Need != "" {
				t.Errorf("for %s: %+v, %v", boot, reply, err)
			}
		})
	}
	calls.Wait()
}

func TestCall_SearchesForAProcessThatIsGoneOnlyOnce(t *testing.T) {
	client, _ := cluster(t, 2)
	for i := range 3 {
		begin := client.pool.made()
		reply, err := client.Call(t.Context(), "gone", Call{Connection: "gone", Do: Frames, Frames: []string{"x"}})
		if err != nil || reply.Results[0].Need != State {
			t.Fatalf("%+v, %v", reply, err)
		}
		if made := client.pool.made() - begin; i > 0 && made > 0 {
			t.Fatalf("%d wires were made to look for it again", made)
		}
	}
}

func TestRun_FindsEveryProcessAndReportsThoseThatEnd(t *testing.T) {
	client, end := cluster(t, 3)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan string, 10)
	ended := make(chan error, 1)
	go func() { ended <- client.Run(ctx, func(boot string) { gone <- boot }) }()
	for deadline := time.Now().Add(3 * time.Second); client.pool.wires("b0") == 0 || client.pool.wires("b1") == 0 || client.pool.wires("b2") == 0 || client.pool.made() < atStart; {
		if time.Now().After(deadline) {
			t.Fatal("not all processes were found")
		}
		time.Sleep(10 * time.Millisecond)
	}
	end()
	select {
	case boot := <-gone:
		if boot != "b1" {
			t.Fatalf("%s is reported", boot)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("nothing is reported")
	}
	cancel()
	<-ended
}

// A process whose wires have all ended (Puma ends them when it has much to do, we when an answer does not come) is found
// again among many.
func TestRun_FindsAProcessAgainAmongMany(t *testing.T) {
	client, _ := cluster(t, 30)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- client.Run(ctx, func(boot string) { t.Errorf("%s is reported to be gone", boot) })
	}()
	waitFor := func(what string, holds func() bool) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("never: ", what)
			}
		}
	}
	waitFor("enough processes are known", func() bool { return client.pool.wires("b1") > 0 && client.pool.made() >= atStart })
	w, _ := client.pool.take("b1", true, false)
	client.pool.discard(w)
	waitFor("b1 is known again", func() bool { return client.pool.wires("b1") > 0 || t.Failed() })
	cancel()
	<-ended
}

// made tells how many wires there are.
func (p *pool) made() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, count := range p.count {
		n += count
	}
	return n
}

// A process may have more threads than there are wires to it after a quiet time.
func TestCall_KeepsAllThreadsOfTheProcessAtWorkThatHoldsTheObjects(t *testing.T) {
	const threads = 8
	var meet atomic.Pointer[rendezvous]
	client := backend(t, func(w http.ResponseWriter, r *http.Request) {
		meet.Load().arrive()
		fine(w, r)
	}, func(o *Options) { o.Concurrency, o.Queue = threads, threads })
	for _, atOnce := range []int{1, few, threads} {
		meet.Store(&rendezvous{wanted: atOnce, met: make(chan struct{})})
		var calls sync.WaitGroup
		for range atOnce {
			calls.Go(func() {
				if _, err := client.Call(t.Context(), "b", Call{Connection: "n:1", Do: Frames, Frames: []string{"x"}}); err != nil {
					t.Errorf("%d at once: %v", atOnce, err)
				}
			})
		}
		calls.Wait()
	}
}

// rendezvous is where so many meet; who comes too early waits, though not for ever.
type rendezvous struct {
	wanted  int
	arrived atomic.Int64
	met     chan struct{}
}

func (r *rendezvous) arrive() {
	if r.arrived.Add(1) == int64(r.wanted) {
		close(r.met)
	}
	select {
	case <-r.met:
	case <-time.After(5 * time.Second):
	}
}
