package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/rpc"
	"github.com/catenary-cable/catenary/rpc/rpctest"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

// recorder is a handler that records what it is called with.
type recorder struct {
	mu     sync.Mutex
	events []string
	sync   func(done func())
}

func (h *recorder) note(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, fmt.Sprintf(format, args...))
}

func (h *recorder) Effects(connection string, ops []rpc.Op) {
	for _, op := range ops {
		h.note("%s %s %s", connection, op.Kind, op.Frame)
	}
}

func (h *recorder) Sync(connection string, done func()) {
	h.note("sync %s", connection)
	if h.sync != nil {
		h.sync(done)
		return
	}
	done()
}

func (h *recorder) Keep(connection string, _ *rpc.Process, kept rpc.Kept) {
	h.note("kept %s %s %s", connection, kept.State, kept.Channels["a"].State)
}

func (h *recorder) Gone(*rpc.Process) { h.note("gone") }

func (h *recorder) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.events)
}

// linked returns a client that runs until the test ends, and its handler.
func linked(t *testing.T, url string, change ...func(*rpc.Options)) (*rpc.Client, *recorder) {
	t.Helper()
	o := rpc.Options{URL: url, Secret: "secret", Node: "n", Timeout: patience, Queue: 1000}
	for _, f := range change {
		f(&o)
	}
	client, err := rpc.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	h := &recorder{}
	run(t, client, h)
	return client, h
}

// run runs a client until the test ends.
func run(t *testing.T, client *rpc.Client, h rpc.Handler) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		client.Run(t.Context(), h)
	}()
	t.Cleanup(func() {
		client.Close()
		<-ended
	})
}

// await polls until something has happened, and fails the test if it does not within patience.
func await(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !happened(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("did not happen: %s", what)
		}
	}
}

// fine answers any call with success.
func fine(l *rpctest.Link, call rpctest.Call) { l.End(call, `{"status":200,"ver":"1"}`) }

func TestLink_CarriesCallsAndTheirResults(t *testing.T) {
	for _, frames := range []string{"plain", "mac"} {
		rails := rpctest.New(t, "secret", func(l *rpctest.Link, call rpctest.Call) {
			frame := call.Connection + " " + strings.Join(call.Frames, " ")
			l.End(call, fmt.Sprintf(`{"status":200,"ver":"1","ops":[["send",%q]]}`, frame))
		}, func(r *rpctest.Rails) { r.Frames = frames })
		client, _ := linked(t, rails.URL)
		for i := range 100 {
			name := fmt.Sprint(i)
			result, err := client.Call(t.Context(), rpc.Call{Connection: name, Do: rpc.Frames, Frames: []string{"é"}})
			if err != nil || result.Ops[0].Frame != name+" é" {
				t.Fatal(frames, i, result, err)
			}
		}
		settings, err := client.Settings(patience)
		if err != nil || settings.MountPath != "/cable" {
			t.Error(settings, err)
		}
	}
}

func TestLink_PassesOnEffectsInTheOrderInWhichRailsSendsThem(t *testing.T) {
	rails := rpctest.New(t, "secret", func(l *rpctest.Link, call rpctest.Call) {
		l.Write(fmt.Sprintf(`{"call":%d,"ops":[["send","1"]]}`, call.Number))
		l.Write(`{"conn":"other","ops":[["send","2"]]}`)
		l.Write(`{"sync":7,"conn":"mine"}`)
		l.Write(`{"kept":"third","ver":"1","state":"s","channels":{"a":{"state":"x"}}}`)
		l.End(call, `{"status":200}`)
	})
	client, h := linked(t, rails.URL)
	if _, err := client.Call(t.Context(), rpc.Call{Connection: "mine", Do: rpc.Frames}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(h.all(), ", "); got != "mine send 1, other send 2, sync mine, kept third s x" {
		t.Error(got)
	}
	await(t, "synced", func() bool { return slices.Contains(rails.Links()[0].Controls(), `{"synced":7}`) })
}

func TestLink_IsOpenedToEveryProcessAndNewConnectionsGoToTheOneWithTheFewest(t *testing.T) {
	workers := func() []*rpctest.Rails {
		var all []*rpctest.Rails
		for range 4 {
			all = append(all, rpctest.New(t, "secret", fine, func(r *rpctest.Rails) { r.Count = 4 }))
		}
		return all
	}()
	client, _ := linked(t, balance(t, workers))
	await(t, "four links", func() bool { return len(client.Processes()) == 4 })
	var opens sync.WaitGroup
	for i := range 80 {
		opens.Go(func() {
			if _, err := client.Call(t.Context(), rpc.Call{Connection: fmt.Sprint(i), Do: rpc.Open}); err != nil {
				t.Error(err)
			}
		})
	}
	opens.Wait()
	for _, p := range client.Processes() {
		if p.Connections < 14 || p.Connections > 26 {
			t.Errorf("%d of 80 connections are on one of four processes", p.Connections)
		}
	}
}

func TestLink_ABusyProcessDelaysOnlyItsOwnConnections(t *testing.T) {
	release := make(chan struct{})
	answer := func(l *rpctest.Link, call rpctest.Call) {
		if len(call.Frames) > 0 && call.Frames[0] == "slow" {
			go func() { <-release; fine(l, call) }()
			return
		}
		fine(l, call)
	}
	a := rpctest.New(t, "secret", answer, func(r *rpctest.Rails) { r.Count, r.Workers = 2, 1 })
	b := rpctest.New(t, "secret", answer, func(r *rpctest.Rails) { r.Count, r.Workers = 2, 1 })
	client, _ := linked(t, balance(t, []*rpctest.Rails{a, b}))
	await(t, "two links", func() bool { return len(client.Processes()) == 2 })
	home := client.Process(a.Name)
	answers := make(chan rpc.Answer, 100)
	for i := range 40 { // more than are sent ahead
		call := rpc.Call{Connection: fmt.Sprint(i), Do: rpc.Frames, Frames: []string{"slow"}, Home: home}
		client.Do(&call, func(a rpc.Answer) { answers <- a })
	}
	idle := rpc.Call{Connection: "idle", Do: rpc.Frames, Home: client.Process(b.Name)}
	if _, err := client.Call(t.Context(), idle); err != nil {
		t.Error(err)
	}
	await(t, "the process stalls", func() bool { return client.Stalled(home) })
	for i := range 20 {
		if _, err := client.Call(t.Context(), rpc.Call{Connection: fmt.Sprintf("new %d", i), Do: rpc.Open}); err != nil {
			t.Error(err)
		}
	}
	close(release)
	for range 40 {
		if a := <-answers; a.Err != nil {
			t.Error(a.Err)
		}
	}
}

func TestLink_EstablishedConnectionsGoBeforeNewOnesButNotAlways(t *testing.T) {
	var mu sync.Mutex
	var order []string
	release := make(chan struct{})
	rails := rpctest.New(t, "secret", func(l *rpctest.Link, call rpctest.Call) {
		if call.Connection == "first" {
			go func() { <-release; fine(l, call) }()
			return
		}
		mu.Lock()
		order = append(order, call.Do)
		mu.Unlock()
		fine(l, call)
	}, func(r *rpctest.Rails) { r.Workers = 1 })
	client, _ := linked(t, rails.URL)
	await(t, "a link", func() bool { return len(client.Processes()) == 1 })
	home := client.Process(rails.Name)
	var calls sync.WaitGroup
	for range 4 { // fill what is sent ahead
		calls.Go(func() { client.Call(t.Context(), rpc.Call{Connection: "first", Do: rpc.Frames, Home: home}) })
	}
	await(t, "four calls are in flight", func() bool { inFlight, _ := client.Load(); return inFlight == 4 })
	for i := range 40 {
		calls.Go(func() { client.Call(t.Context(), rpc.Call{Connection: fmt.Sprint("o", i), Do: rpc.Open}) })
		calls.Go(func() { client.Call(t.Context(), rpc.Call{Connection: fmt.Sprint("f", i), Do: rpc.Frames, Home: home}) })
	}
	await(t, "80 calls wait", func() bool { _, waiting := client.Load(); return waiting == 80 })
	close(release)
	calls.Wait()
	commands, opens := 0, 0
	for _, do := range order[:40] {
		if do == rpc.Open {
			opens++
		} else {
			commands++
		}
	}
	if commands <= opens || opens == 0 {
		t.Errorf("of the first 40 calls %d were commands and %d opens", commands, opens)
	}
}

func TestLink_WhenItClosesCallsThatMayHaveRunFailAndTheOthersMove(t *testing.T) {
	var mu sync.Mutex
	ran := map[string]int{}
	var first *rpctest.Rails
	answer := func(name string) func(*rpctest.Link, rpctest.Call) {
		return func(l *rpctest.Link, call rpctest.Call) {
			mu.Lock()
			ran[call.Connection]++
			mu.Unlock()
			if name == "a" {
				return // and never answers
			}
			fine(l, call)
		}
	}
	first = rpctest.New(t, "secret", answer("a"), func(r *rpctest.Rails) { r.Count, r.Workers = 2, 1 })
	second := rpctest.New(t, "secret", answer("b"), func(r *rpctest.Rails) { r.Count, r.Workers = 2, 1 })
	client, h := linked(t, balance(t, []*rpctest.Rails{first, second}))
	await(t, "two links", func() bool { return len(client.Processes()) == 2 })
	home := client.Process(first.Name)
	fill := func(c *rpc.Call, _ *rpc.Process) error { c.Request = (&rpc.Request{}).Encode(); return nil }
	answers := make(chan rpc.Answer, 10)
	for i := range 10 {
		call := rpc.Call{Connection: fmt.Sprint(i), Do: rpc.Frames, Version: "1", Home: home, Fill: fill}
		client.Do(&call, func(a rpc.Answer) { answers <- a })
	}
	await(t, "four calls", func() bool { mu.Lock(); defer mu.Unlock(); return len(ran) == 4 })
	first.Cut()
	lost := 0
	for range 10 {
		a := <-answers
		switch {
		case errors.Is(a.Err, rpc.ErrGone):
			lost++
		case a.Err != nil || a.Process.ID != second.Name:
			t.Error(a)
		}
	}
	if lost != 4 || len(ran) != 10 {
		t.Errorf("%d calls were lost, %d have run", lost, len(ran))
	}
	for name, times := range ran {
		if times != 1 {
			t.Errorf("call %s ran %d times", name, times)
		}
	}
	await(t, "the handler is told", func() bool { return slices.Contains(h.all(), "gone") })
}

func TestLink_AStoppingProcessGetsNoCallsAndItsConnectionsMoveAfterTheHandover(t *testing.T) {
	var mu sync.Mutex
	var at []string
	answer := func(name string) func(*rpctest.Link, rpctest.Call) {
		return func(l *rpctest.Link, call rpctest.Call) {
			mu.Lock()
			at = append(at, fmt.Sprintf("%s at %s full %t", call.Connection, name, call.Request != nil))
			mu.Unlock()
			fine(l, call)
		}
	}
	a := rpctest.New(t, "secret", answer("a"), func(r *rpctest.Rails) { r.Count = 2 })
	b := rpctest.New(t, "secret", answer("b"), func(r *rpctest.Rails) { r.Count = 2 })
	client, _ := linked(t, balance(t, []*rpctest.Rails{a, b}))
	await(t, "two links", func() bool { return len(client.Processes()) == 2 })
	home := client.Process(a.Name)
	fill := func(c *rpc.Call, _ *rpc.Process) error { c.Request = (&rpc.Request{}).Encode(); return nil }
	link := a.Links()[0]
	link.Write(`{"going":"began"}`)
	await(t, "the answer to going", func() bool { return slices.Contains(link.Controls(), `{"heard":"going"}`) })
	answers := make(chan rpc.Answer, 2)
	call := rpc.Call{Connection: "1", Do: rpc.Frames, Version: "1", Home: home, Fill: fill}
	client.Do(&call, func(a rpc.Answer) { answers <- a })
	if _, err := client.Call(t.Context(), rpc.Call{Connection: "2", Do: rpc.Open}); err != nil {
		t.Error(err)
	}
	link.Write(`{"going":"handed"}`)
	if answer := <-answers; answer.Err != nil || answer.Process.ID != b.Name {
		t.Error(answer)
	}
	if got := strings.Join(at, ", "); got != "2 at b full false, 1 at b full true" {
		t.Error(got)
	}
	link.Write(`{"going":"revoked"}`)
	await(t, "it runs again", func() bool {
		return !slices.ContainsFunc(client.Processes(), func(p rpc.ProcessStats) bool { return p.Stopping })
	})
	call = rpc.Call{Connection: "3", Do: rpc.Frames, Version: "1", Home: home, Fill: fill}
	if _, err := client.Call(t.Context(), call); err != nil || at[len(at)-1] != "3 at a full false" {
		t.Error(err, at)
	}
}

func TestLink_AfterByeCallsWithoutAResultRunElsewhere(t *testing.T) {
	a := rpctest.New(t, "secret", func(l *rpctest.Link, call rpctest.Call) {
		l.Write(`{"bye":true}`)
		l.Close()
	}, func(r *rpctest.Rails) { r.Count = 2 })
	b := rpctest.New(t, "secret", fine, func(r *rpctest.Rails) { r.Count = 2 })
	client, _ := linked(t, balance(t, []*rpctest.Rails{a, b}))
	await(t, "two links", func() bool { return len(client.Processes()) == 2 })
	fill := func(c *rpc.Call, _ *rpc.Process) error { c.Request = (&rpc.Request{}).Encode(); return nil }
	call := rpc.Call{Connection: "1", Do: rpc.Frames, Version: "1", Home: client.Process(a.Name), Fill: fill}
	if _, err := client.Call(t.Context(), call); err != nil {
		t.Error(err)
	}
}

func TestLink_InvalidFramesCloseThatLinkOnly(t *testing.T) {
	for name, invalid := range map[string]string{
		"invalid JSON":         "\x00\x00\x00\x02{]",
		"an excessive length":  "\xff\xff\xff\xff",
		"a call not in flight": "\x00\x00\x00\x08{\"end\":9}",
		"an unknown kind":      "\x00\x00\x00\x02{}",
	} {
		rails := rpctest.New(t, "secret", fine)
		client, h := linked(t, rails.URL)
		await(t, "a link", func() bool { return len(rails.Links()) == 1 })
		rails.Links()[0].WriteRaw([]byte(invalid))
		await(t, name+" closes the link", func() bool { return slices.Contains(h.all(), "gone") })
		if _, err := client.Call(t.Context(), rpc.Call{Connection: "1", Do: rpc.Open}); err != nil { // over a new one
			t.Error(err)
		}
	}
}

func TestLink_AWrongSecretIsReportedAndNoCallIsSent(t *testing.T) {
	rails := rpctest.New(t, "another", func(l *rpctest.Link, call rpctest.Call) { t.Error("a call arrived") })
	client, _ := linked(t, rails.URL)
	await(t, "the reason", func() bool {
		_, err := client.Settings(patience)
		return err != nil && strings.Contains(err.Error(), "the same CATENARY_SECRET")
	})
}

func TestLink_CallsGoByPOSTWhereLinksAreImpossible(t *testing.T) {
	for status := range map[int]bool{404: true, 426: true, 501: true} {
		client, _ := linked(t, postOnly(t, status))
		result, err := client.Call(t.Context(), rpc.Call{Connection: "1", Do: rpc.Open})
		if err != nil || result.Status != 200 {
			t.Error(status, result, err)
		}
	}
}

func BenchmarkLink(b *testing.B) {
	rails := rpctest.New(b, "secret", fine)
	client, _ := rpc.NewClient(rpc.Options{URL: rails.URL, Secret: "secret", Node: "n", Timeout: patience, Queue: 100})
	ended := make(chan struct{})
	go func() { defer close(ended); client.Run(b.Context(), &recorder{}) }()
	for len(client.Processes()) == 0 {
		time.Sleep(time.Millisecond)
	}
	home := client.Process(rails.Name)
	frames := []string{`{"command":"message","identifier":"{\"channel\":\"ChatChannel\",\"room\":1}","data":"{\"body\":\"hello\",\"action\":\"speak\"}"}`}
	b.ReportAllocs()
	for b.Loop() {
		call := rpc.Call{Connection: "n:1", Do: rpc.Frames, Version: "1", Frames: frames, Home: home}
		if _, err := client.Call(b.Context(), call); err != nil {
			b.Fatal(err)
		}
	}
}

func TestLink_AProcessThatStartsUnannouncedIsFound(t *testing.T) {
	first := rpctest.New(t, "secret", fine)
	var behind atomic.Pointer[[]*rpctest.Rails]
	behind.Store(&[]*rpctest.Rails{first})
	client, _ := linked(t, balanceOf(t, func() []*rpctest.Rails { return *behind.Load() }))
	await(t, "a link", func() bool { return len(client.Processes()) == 1 })
	second := rpctest.New(t, "secret", fine)
	behind.Store(&[]*rpctest.Rails{first, second})
	await(t, "the other is found", func() bool { return client.Process(second.Name) != nil })
}

// A name such as localhost may stand for two addresses of one server.
func TestLink_AProcessBehindTwoAddressesGetsOneLink(t *testing.T) {
	rails := rpctest.New(t, "secret", fine)
	for range 20 {
		client, err := rpc.NewClient(rpc.Options{URL: rails.URL, Secret: "secret", Node: "n", Timeout: patience, Queue: 10})
		if err != nil {
			t.Fatal(err)
		}
		before := len(rails.Links())
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			address := strings.TrimPrefix(rails.URL, "http://")
			client.RunWith(ctx, &recorder{}, address, address)
		}()
		if _, err := client.Call(ctx, rpc.Call{Do: rpc.Open, Connection: "a"}); err != nil {
			t.Error(err)
		}
		stop()
		<-ended
		client.Close()
		if n := len(rails.Links()) - before; n != 1 {
			t.Fatalf("%d links to one process", n)
		}
	}
}

func TestLink_QueuedCallsFailAsNotSentWhenTheClientStops(t *testing.T) {
	client, err := rpc.NewClient(rpc.Options{
		URL: "http://127.0.0.1:1", Secret: "secret", Node: "n", Timeout: patience, Queue: 10,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); client.Run(ctx, &recorder{}) }()
	answers := make(chan rpc.Answer, 1)
	client.Do(&rpc.Call{Connection: "1", Do: rpc.Close}, func(a rpc.Answer) { answers <- a })
	stop()
	if a := <-answers; !errors.Is(a.Err, rpc.ErrNotSent) {
		t.Error(a.Err)
	}
	<-ended
	if _, err := client.Do(&rpc.Call{Connection: "2", Do: rpc.Close}, nil); !errors.Is(err, rpc.ErrNotSent) {
		t.Error(err)
	}
}

func TestLink_ClosesOfAnotherNodesConnectionsDoNotCountAsOurs(t *testing.T) {
	rails := rpctest.New(t, "secret", fine)
	client, _ := linked(t, rails.URL)
	await(t, "a link", func() bool { return len(client.Processes()) == 1 })
	for i := range 3 {
		call := rpc.Call{
			Connection: fmt.Sprint(i), Do: rpc.Close, Home: client.Process(rails.Name),
			Encoded: []byte(`{"conn":"x","do":"close"}`),
		}
		if _, err := client.Call(t.Context(), call); err != nil {
			t.Fatal(err)
		}
	}
	if n := client.Processes()[0].Connections; n != 0 {
		t.Errorf("the process has %d connections", n)
	}
}

func TestPost_CallsAreNotRetriedAfterTheClientHasStopped(t *testing.T) {
	client, err := rpc.NewClient(rpc.Options{
		URL: "http://127.0.0.1:1", Secret: "secret", Node: "n",
		Transport: rpc.Post, Timeout: patience, Queue: 10,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); client.Run(ctx, &recorder{}) }()
	answers := make(chan rpc.Answer, 20)
	for n := range 20 { // some are in the middle of an attempt when it stops
		client.Do(&rpc.Call{Connection: fmt.Sprint(n), Do: rpc.Close}, func(a rpc.Answer) { answers <- a })
	}
	stop()
	<-ended
	for range 20 {
		select {
		case a := <-answers:
			if !errors.Is(a.Err, rpc.ErrNotSent) {
				t.Error(a.Err)
			}
		case <-time.After(patience):
			t.Fatal("a call was never answered")
		}
	}
}

func TestPost_AnOpenWaitsUntilRailsIsUp(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	client, _ := linked(t, "http://"+address, func(o *rpc.Options) { o.Transport = rpc.Post })
	answers := make(chan rpc.Answer, 1)
	client.Do(&rpc.Call{Connection: "1", Do: rpc.Open}, func(a rpc.Answer) { answers <- a })
	await(t, "an attempt failed", func() bool {
		return strings.Contains(client.NotSentError(errors.New("x")).Error(), "connecting to Rails")
	})
	listener, err = net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"v":1,"process":"b","results":[{"status":200,"ver":"1"}]}`)
	})}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	if a := <-answers; a.Err != nil || a.Result.Status != 200 {
		t.Error(a.Result, a.Err)
	}
}

// A broadcast is one call for each connection whose stream has a block, and a restart one close for
// each connection. Both may exceed Options.Queue: none is dropped, and they do not count towards
// the limit for commands.
func TestLink_BroadcastsAndClosesAreNotBoundedByTheQueue(t *testing.T) {
	release := make(chan bool)
	rails := rpctest.New(t, "secret", func(l *rpctest.Link, call rpctest.Call) {
		go func() {
			<-release
			fine(l, call)
		}()
	}, func(r *rpctest.Rails) { r.Workers = 1 })
	client, _ := linked(t, rails.URL, func(o *rpc.Options) { o.Queue = 3 })
	await(t, "the link", func() bool { return len(client.Processes()) == 1 })
	const connections, window = 50, 4
	answers := make(chan rpc.Answer, 3*connections)
	ask := func(do string) error {
		call := rpc.Call{Connection: "x", Do: do, Home: client.Process(rails.Name)}
		_, err := client.Do(&call, func(a rpc.Answer) { answers <- a })
		return err
	}
	for i := range connections {
		if err := errors.Join(ask(rpc.Deliver), ask(rpc.Close)); err != nil {
			t.Fatalf("of connection %d: %v", i, err)
		}
	}
	for i := range 4 {
		if err := ask(rpc.Frames); errors.Is(err, rpc.ErrBusy) != (i == 3) {
			t.Errorf("command %d: %v", i+1, err)
		}
	}
	if inFlight, waiting := client.Load(); inFlight != window || waiting != 2*connections+3-window {
		t.Errorf("%d are in flight and %d wait", inFlight, waiting)
	}
	close(release)
	for range 2*connections + 3 {
		if a := <-answers; a.Err != nil {
			t.Fatal(a.Err)
		}
	}
}

// Each dial of an app without the gem is an error in Rails' log.
func TestLink_AnAppWithoutTheGemIsDialledLessAndLessOftenUntilItRestarts(t *testing.T) {
	posts := 0
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		posts++
		http.NotFound(w, r)
	}))
	defer backend.Close()
	client := unused(t, backend.URL, rpc.Auto)
	unknown, refused := &rpc.StatusError{Status: http.StatusNotFound}, fmt.Errorf("connection refused: %w", rpc.ErrNotSent)
	pauses := client.Pauses(slices.Repeat([]error{unknown}, 20)...)
	if pauses[0] > time.Second || pauses[19] < 30*time.Second {
		t.Errorf("it pauses for %v", pauses)
	}
	if posts != 1 {
		t.Errorf("it tried POST %d times", posts)
	}
	pauses = client.Pauses(append(slices.Repeat([]error{unknown}, 20), refused, unknown)...)
	if pauses[20] > time.Second || pauses[21] > 2*time.Second {
		t.Errorf("after a restart it pauses for %v", pauses[20:])
	}
	badGateway := &rpc.StatusError{Status: http.StatusBadGateway}
	pauses = client.Pauses(slices.Repeat([]error{badGateway}, 20)...)
	if pauses[19] > 5*time.Second {
		t.Errorf("while a proxy waits for Rails it pauses for %v", pauses[19])
	}
}

// processes is a listener that notes which processes are ready.
type processes struct {
	rpc.Listener
	ready chan *rpc.Process
}

func (l processes) ProcessReady(p *rpc.Process)  { l.ready <- p }
func (l processes) ProcessStopping(*rpc.Process) {}
func (l processes) ProcessGone(*rpc.Process)     {}

// listening returns a client with a listener, which runs until the test ends.
func listening(t *testing.T, url string) (*rpc.Client, processes) {
	t.Helper()
	listener := processes{ready: make(chan *rpc.Process, 1)}
	client, err := rpc.NewClient(rpc.Options{URL: url, Secret: "secret", Node: "n", Timeout: patience, Queue: 1000})
	if err != nil {
		t.Fatal(err)
	}
	client.SetListener(listener)
	run(t, client, &recorder{})
	return client, listener
}

// callWaiting makes a call that waits for a process, and returns where its answer arrives.
func callWaiting(t *testing.T, client *rpc.Client) <-chan rpc.Answer {
	t.Helper()
	answers := make(chan rpc.Answer, 1)
	_, err := client.Do(&rpc.Call{Connection: "1", Do: rpc.Frames}, func(a rpc.Answer) { answers <- a })
	if err != nil {
		t.Fatal(err)
	}
	return answers
}

func expectWaiting(t *testing.T, client *rpc.Client) {
	t.Helper()
	if inFlight, waiting := client.Load(); inFlight != 0 || waiting != 1 {
		t.Errorf("%d calls in flight, %d wait", inFlight, waiting)
	}
}

func TestLink_ANewProcessRunsNoCallBeforeItListens(t *testing.T) {
	rails := rpctest.New(t, "secret", fine)
	client, listener := listening(t, rails.URL)
	answers := callWaiting(t, client)
	p := <-listener.ready
	expectWaiting(t, client)
	client.Start(p)
	if a := <-answers; a.Err != nil {
		t.Error(a.Err)
	}
}

// It may be about to stop, and stay after all, while it starts.
func TestLink_ANewProcessThatStaysRunsNoCallBeforeItListens(t *testing.T) {
	rails := rpctest.New(t, "secret", fine)
	client, listener := listening(t, rails.URL)
	answers := callWaiting(t, client)
	<-listener.ready
	await(t, "the link", func() bool { return len(rails.Links()) == 1 })
	rails.Links()[0].Write(`{"going":"began"}`)
	rails.Links()[0].Write(`{"going":"revoked"}`)
	p := <-listener.ready
	expectWaiting(t, client)
	client.Start(p)
	if a := <-answers; a.Err != nil {
		t.Error(a.Err)
	}
}

func TestLink_ANewProcessThatNobodyStartsRunsCallsAllTheSame(t *testing.T) {
	rails := rpctest.New(t, "secret", fine)
	client, _ := listening(t, rails.URL)
	if _, err := client.Call(t.Context(), rpc.Call{Connection: "1", Do: rpc.Frames}); err != nil {
		t.Error(err)
	}
}

func TestLink_ReportsWhetherRailsCouldBroadcast(t *testing.T) {
	rails := rpctest.New(t, "secret", fine)
	client, _ := linked(t, rails.URL)
	await(t, "a link", func() bool { return len(client.Linked()) == 1 && len(rails.Links()) == 1 })
	p := client.Linked()[0]
	answers := make(chan error, 1)
	for number, answer := range []string{`{"published":1}`, `{"published":2,"failed":"no gem"}`} {
		go func() { answers <- client.Broadcast(t.Context(), p, "room", []byte(`"word"`)) }()
		asked := fmt.Sprintf(`{"publish":"room","message":"\"word\"","number":%d}`, number+1)
		await(t, asked, func() bool { return slices.Contains(rails.Links()[0].Controls(), asked) })
		rails.Links()[0].Write(answer)
		err := <-answers
		if failed := new(rpc.PublishError); number == 0 && err != nil || number == 1 && (!errors.As(err, &failed) || failed.Reason != "no gem") {
			t.Errorf("%s gives %v", answer, err)
		}
	}
	go func() { answers <- client.Broadcast(t.Context(), p, "room", nil) }()
	await(t, "the third publish", func() bool { return len(rails.Links()[0].Controls()) >= 3 })
	rails.Links()[0].Close()
	if err := <-answers; !errors.Is(err, rpc.ErrGone) {
		t.Errorf("when the link closes: %v", err)
	}
	if err := client.Broadcast(t.Context(), p, "room", nil); !errors.Is(err, rpc.ErrGone) {
		t.Errorf("after it: %v", err)
	}
}
