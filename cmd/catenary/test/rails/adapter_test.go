package rails

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// startWithoutRedis starts an application with an adapter that only Rails can subscribe to, so that
// catenary gets broadcasts from Rails.
func startWithoutRedis(t *testing.T, adapter string, env ...string) orderWorld {
	t.Helper()
	t.Parallel()
	env = append([]string{"LAB_ADAPTER=" + adapter, "LAB_BROADCASTS=" + filepath.Join(t.TempDir(), "broadcasts"), "LAB_CHANNEL_PREFIX=lab"}, env...)
	w := &stage.World{}
	t.Cleanup(func() { w.Close() })
	var err error
	if w.App, err = stage.StartApp("lab", true, env...); err != nil {
		t.Fatal(err)
	}
	root := stage.RootWith(t, "config/cable.yml", "development:\n  adapter: "+adapter+"\n")
	if w.Catenary, err = stage.StartCatenary(w.App, "--root", root); err != nil {
		t.Fatal(err)
	}
	w.Address = w.Catenary.Address
	o := orderWorld{w}
	o.logIfFailed(t)
	return o
}

// broadcast makes a web request broadcast a message.
func (w orderWorld) broadcast(t *testing.T, stream, message string) {
	t.Helper()
	if _, err := w.App.Request("POST", "/broadcast", fmt.Sprintf(`{"stream":%q,"message":%s}`, stream, message)); err != nil {
		t.Fatal(err)
	}
}

// writeBroadcast writes a broadcast as the "polled" adapter does.
func (w orderWorld) writeBroadcast(stream string, n int) error {
	file, err := os.OpenFile(w.App.Getenv("LAB_BROADCASTS"), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer file.Close() // releases the lock
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	_, err = fmt.Fprintf(file, "[\"lab:%s\",\"%d\"]\n", stream, n)
	return err
}

// expectGaps expects this number of gaps in the metrics.
func (w orderWorld) expectGaps(t *testing.T, gaps int) {
	t.Helper()
	metrics, err := stage.Get("http://" + w.Catenary.Operations + "/metrics")
	if err == nil {
		err = stage.Mentions(metrics, []string{fmt.Sprintf("catenary_broadcast_gaps_total %d\n", gaps)})
	}
	if err != nil {
		t.Errorf("%v\n%s", err, w.Catenary.Process.Output.Tail())
	}
}

// expectNumbers expects the numbers from 0 to count-1.
func (o *subscriber) expectNumbers(count int) {
	o.t.Helper()
	for n := range count {
		o.expectMessages(fmt.Sprint(n))
	}
}

func TestAdapter_AsyncBroadcastsReachEveryProcess(t *testing.T) {
	w := startWithoutRedis(t, "async", "WEB_CONCURRENCY=2")
	all := []*subscriber{w.join(t, "?uid=1", "hall"), w.join(t, "?uid=2", "hall"), w.join(t, "?uid=3", "hall")}
	for n := range 40 { // some in each of Puma's workers
		w.broadcast(t, "hall", fmt.Sprint(n))
	}
	for _, o := range all {
		o.expectNumbers(40)
	}
	all[0].perform(`{"action":"speak","n":1,"twice":true}`)
	all[0].expectMessages(`{"ack":1}`, `{"said":1}`, `{"again":1}`)
	for _, o := range all[1:] {
		o.expectMessages(`{"said":1}`, `{"again":1}`)
	}
}

// The adapter delivers on a pool of threads, which natively overtake each other.
func TestAdapter_BroadcastsOfAThirdPartyAdapterArriveInOrder(t *testing.T) {
	startWithoutRedis(t, "polled", "WEB_CONCURRENCY=2").testStreamsInOrder(t)
}

// testStreamsInOrder makes web requests broadcast numbers on four streams at once and expects them
// in order.
func (w orderWorld) testStreamsInOrder(t *testing.T) {
	t.Helper()
	var waiting sync.WaitGroup
	for s := range 4 {
		stream := fmt.Sprint("hall ", s)
		o := w.join(t, "", stream)
		waiting.Go(func() { o.expectNumbers(*pairs) })
		waiting.Go(func() {
			if _, err := w.App.Request("POST", "/broadcasts", fmt.Sprintf(`{"stream":%q,"count":%d}`, stream, *pairs)); err != nil {
				t.Error(err)
			}
		})
	}
	waiting.Wait()
}

// Streams are spread over the processes.
func TestAdapter_ThousandsOfStreamsAreLiveFromTheirConfirmationOn(t *testing.T) {
	const browsers, each = 20, 100
	w := startWithoutRedis(t, "polled", "WEB_CONCURRENCY=2")
	stream := func(b, s int) string { return fmt.Sprintf("room %d of %d", s, b) }
	identifier := func(b, s int) string { return `{"channel":"OrderChannel","s":"` + stream(b, s) + `"}` }
	var all []*subscriber
	for b := range browsers {
		all = append(all, w.join(t, "", stream(b, 0)))
		for s := 1; s < each; s++ {
			all[b].Send(stage.Command("subscribe", identifier(b, s), nil))
		}
	}
	for b, o := range all {
		var confirmations []string
		for s := 1; s < each; s++ {
			confirmations = append(confirmations, stage.Confirmation(identifier(b, s)))
		}
		o.expectInAnyOrder(confirmations)
		for s := range each {
			if err := w.writeBroadcast(stream(b, s), s); err != nil {
				t.Fatal(err)
			}
		}
	}
	for b, o := range all {
		var messages []string
		for s := range each {
			messages = append(messages, stage.MessageFor(identifier(b, s), fmt.Sprint(s)))
		}
		o.expectInAnyOrder(messages)
	}
	w.expectGaps(t, 0)
}

// expectInAnyOrder expects frames of streams that are spread over two processes.
func (o *subscriber) expectInAnyOrder(frames []string) {
	o.t.Helper()
	awaited := map[string]bool{}
	for _, frame := range frames {
		awaited[frame] = true
	}
	for range frames {
		e, _ := stage.NextFrame(o.Browser)
		if !awaited[e.Text] {
			o.t.Fatalf("got %q, unexpected at this point", e)
		}
		delete(awaited, e.Text)
	}
}

// A remote disconnect is a broadcast on Rails' internal stream.
func TestAdapter_RemoteDisconnectsUseTheAdapterToo(t *testing.T) {
	startWithoutRedis(t, "polled").testRemoteDisconnect(t)
}

func (w orderWorld) testRemoteDisconnect(t *testing.T) {
	t.Helper()
	leaves := w.join(t, "?uid=7", "room")
	leaves.perform(`{"action":"leave"}`)
	leaves.expectMessages(`{"bye":1}`)
	leaves.expect(`{"type":"disconnect","reason":"remote","reconnect":true}`)
}

// Another worker subscribes before the old one stops.
func TestAdapter_NoBroadcastIsLostWhileWorkersAreReplaced(t *testing.T) {
	w := startWithoutRedis(t, "polled", "WEB_CONCURRENCY=2", "LAB_PRELOAD=false")
	w.testReplacedWorkers(t, func(streams []string, n int) error {
		for _, stream := range streams {
			if err := w.writeBroadcast(stream, n); err != nil {
				return err
			}
		}
		return nil
	})
}

// testReplacedWorkers makes Puma replace its workers one by one, calls broadcast for six streams
// meanwhile, and expects every message in order. broadcast must not be a web request, which the
// restart may cut.
func (w orderWorld) testReplacedWorkers(t *testing.T, broadcast func(streams []string, n int) error) {
	var all []*subscriber
	var streams []string
	for s := range 6 {
		streams = append(streams, fmt.Sprint("room ", s))
		all = append(all, w.join(t, "", streams[s]))
	}
	stop, published := make(chan struct{}), make(chan int, 1)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				published <- n
				return
			case <-time.After(10 * time.Millisecond):
			}
			if err := broadcast(streams, n); err != nil {
				t.Error(err)
			}
		}
	}()
	w.App.Process.Signal(syscall.SIGUSR1)
	err := w.App.Process.WaitFor(func() error {
		if n := strings.Count(w.App.Process.Output.String(), "s, phase: 1"); n < 2 { // booted in 1.2s, phase: 1
			return fmt.Errorf("%d workers were replaced", n)
		}
		return stage.Wrote(w.Catenary.Process, "Rails process stopped")
	})
	if err != nil {
		t.Fatal(err)
	}
	close(stop)
	count := <-published
	for _, o := range all {
		o.expectNumbers(count)
	}
	w.expectGaps(t, 0)
}

// This is Rails' own adapter with LISTEN and NOTIFY, and a real server.
func TestAdapter_PostgreSQLWorksLikeOtherAdapters(t *testing.T) {
	database := stage.StartPostgreSQL(t)
	w := startWithoutRedis(t, "postgresql", append(database.Env(), "LAB_DATABASE=true", "WEB_CONCURRENCY=2", "LAB_PRELOAD=false")...)
	w.testRemoteDisconnect(t)
	w.testStreamsInOrder(t)
	w.testReplacedWorkers(t, func(streams []string, n int) error {
		var sql strings.Builder
		for _, stream := range streams {
			fmt.Fprintf(&sql, "NOTIFY \"lab:%s\", '%d';", stream, n)
		}
		return database.Do(sql.String())
	})
}

func TestAdapter_BroadcastsResumeAfterRailsWasKilled(t *testing.T) {
	w := startWithoutRedis(t, "polled")
	o := w.join(t, "", "room")
	w.App.Process.Kill()
	if err := w.App.Up(); err != nil {
		t.Fatal(err)
	}
	if err := w.Catenary.Process.WaitFor(w.Catenary.Ready); err != nil {
		t.Fatal(err)
	}
	w.broadcast(t, "room", "1")
	o.expectMessages("1")
	w.expectGaps(t, 1)
}

// A reload restarts Action Cable in Rails.
func TestAdapter_BroadcastsArriveAfterACodeReload(t *testing.T) {
	w := startWithoutRedis(t, "async", "LAB_RELOAD=true")
	o := w.join(t, "", "room")
	for n := range 3 {
		if _, err := w.App.Request("POST", "/restart", ""); err != nil {
			t.Fatal(err)
		}
		o.perform(`{"action":"speak","n":1}`)
		o.expectMessages(`{"ack":1}`, `{"said":1}`)
		w.broadcast(t, "room", fmt.Sprint(n))
		o.expectMessages(fmt.Sprint(n))
	}
}
