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

// listening is an application whose adapter only Rails can hear, and a catenary for which Rails listens. There is no Redis.
func listening(t *testing.T, adapter string, env ...string) ordering {
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
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s\n%s", w.App.Process.Output.Tail(), w.Catenary.Process.Output.Tail())
		}
	})
	return ordering{w}
}

// says has the web of the application broadcast.
func (w ordering) says(t *testing.T, stream, message string) {
	t.Helper()
	if _, err := w.App.Request("POST", "/broadcast", fmt.Sprintf(`{"stream":%q,"message":%s}`, stream, message)); err != nil {
		t.Fatal(err)
	}
}

// polled is what the adapter of that name does to broadcast.
func (w ordering) polled(stream string, n int) error {
	file, err := os.OpenFile(w.broadcasts(), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer file.Close() // and unlocks it
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	_, err = fmt.Fprintf(file, "[\"lab:%s\",\"%d\"]\n", stream, n)
	return err
}

func (w ordering) broadcasts() string {
	for _, variable := range w.App.Env {
		if path, found := strings.CutPrefix(variable, "LAB_BROADCASTS="); found {
			return path
		}
	}
	return ""
}

// counted expects so many gaps to have been counted.
func (w ordering) counted(t *testing.T, gaps int) {
	t.Helper()
	metrics, err := stage.Get("http://" + w.Catenary.Operations + "/metrics")
	if err == nil {
		err = stage.Mentions(metrics, []string{fmt.Sprintf("catenary_broadcast_gaps_total %d\n", gaps)})
	}
	if err != nil {
		t.Errorf("%v\n%s", err, w.Catenary.Process.Output.Tail())
	}
}

// counts expects so many numbers, from nothing on.
func (o *ordered) counts(count int) {
	o.t.Helper()
	for n := range count {
		o.hearsMessages(fmt.Sprint(n))
	}
}

func TestAdapter_AsyncIsHeardInEveryProcess(t *testing.T) {
	w := listening(t, "async", "WEB_CONCURRENCY=2")
	all := []*ordered{w.joins(t, "?uid=1", "hall"), w.joins(t, "?uid=2", "hall"), w.joins(t, "?uid=3", "hall")}
	for n := range 40 { // of which each of Puma's workers takes some
		w.says(t, "hall", fmt.Sprint(n))
	}
	for _, o := range all {
		o.counts(40)
	}
	all[0].performs(`{"action":"speak","n":1,"twice":true}`)
	all[0].hearsMessages(`{"ack":1}`, `{"said":1}`, `{"again":1}`)
	for _, o := range all[1:] {
		o.hearsMessages(`{"said":1}`, `{"again":1}`)
	}
}

// TestAdapter_OfSomebodyElseIsHeardInOrder has an adapter that hands over to a pool of threads, in which natively they overtake
// each other.
func TestAdapter_OfSomebodyElseIsHeardInOrder(t *testing.T) {
	listening(t, "polled", "WEB_CONCURRENCY=2").countsStreams(t)
}

// countsStreams has the web broadcast numbers on four streams at once, each of which a browser hears.
func (w ordering) countsStreams(t *testing.T) {
	t.Helper()
	var waiting sync.WaitGroup
	for s := range 4 {
		stream := fmt.Sprint("hall ", s)
		o := w.joins(t, "", stream)
		waiting.Go(func() { o.counts(*pairs) })
		waiting.Go(func() {
			if _, err := w.App.Request("POST", "/broadcasts", fmt.Sprintf(`{"stream":%q,"count":%d}`, stream, *pairs)); err != nil {
				t.Error(err)
			}
		})
	}
	waiting.Wait()
}

// TestAdapter_ThousandsOfStreams are spread over the processes, and each is heard from its confirmation on.
func TestAdapter_ThousandsOfStreams(t *testing.T) {
	const browsers, each = 20, 100
	w := listening(t, "polled", "WEB_CONCURRENCY=2")
	stream := func(b, s int) string { return fmt.Sprintf("room %d of %d", s, b) }
	identifier := func(b, s int) string { return `{"channel":"OrderChannel","s":"` + stream(b, s) + `"}` }
	var all []*ordered
	for b := range browsers {
		all = append(all, w.joins(t, "", stream(b, 0)))
		for s := 1; s < each; s++ {
			all[b].Send(stage.Command("subscribe", identifier(b, s), nil))
		}
	}
	for b, o := range all {
		var confirmations []string
		for s := 1; s < each; s++ {
			confirmations = append(confirmations, stage.Confirmation(identifier(b, s)))
		}
		o.hearsInAnyOrder(confirmations)
		for s := range each {
			if err := w.polled(stream(b, s), s); err != nil {
				t.Fatal(err)
			}
		}
	}
	for b, o := range all {
		var messages []string
		for s := range each {
			messages = append(messages, stage.MessageFor(identifier(b, s), fmt.Sprint(s)))
		}
		o.hearsInAnyOrder(messages)
	}
	w.counted(t, 0)
}

// hearsInAnyOrder is for what two processes listen to, each of which has an order of its own.
func (o *ordered) hearsInAnyOrder(frames []string) {
	o.t.Helper()
	awaited := map[string]bool{}
	for _, frame := range frames {
		awaited[frame] = true
	}
	for range frames {
		e, _ := stage.NextFrame(o.Browser)
		if !awaited[e.Text] {
			o.t.Fatalf("got %q, twice or too early", e)
		}
		delete(awaited, e.Text)
	}
}

// TestAdapter_ARemoteDisconnectGoesTheSameWay by Rails' own internal stream.
func TestAdapter_ARemoteDisconnectGoesTheSameWay(t *testing.T) {
	listening(t, "polled").disconnectsRemotely(t)
}

func (w ordering) disconnectsRemotely(t *testing.T) {
	t.Helper()
	leaves := w.joins(t, "?uid=7", "room")
	leaves.performs(`{"action":"leave"}`)
	leaves.hearsMessages(`{"bye":1}`)
	leaves.hears(`{"type":"disconnect","reason":"remote","reconnect":true}`)
}

// TestAdapter_AWorkerThatIsReplacedTakesNoBroadcastWithIt: another one listens before it ends.
func TestAdapter_AWorkerThatIsReplacedTakesNoBroadcastWithIt(t *testing.T) {
	w := listening(t, "polled", "WEB_CONCURRENCY=2", "LAB_PRELOAD=false")
	w.replacesWorkers(t, func(streams []string, n int) error {
		for _, stream := range streams {
			if err := w.polled(stream, n); err != nil {
				return err
			}
		}
		return nil
	})
}

// replacesWorkers restarts Puma worker by worker while broadcast is called for six streams again and again, not by way of
// the web, whose requests a restart may cut. Every browser hears all of it in order.
func (w ordering) replacesWorkers(t *testing.T, broadcast func(streams []string, n int) error) {
	var all []*ordered
	var streams []string
	for s := range 6 {
		streams = append(streams, fmt.Sprint("room ", s))
		all = append(all, w.joins(t, "", streams[s]))
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
			return fmt.Errorf("%d workers have been replaced", n)
		}
		return stage.Says(w.Catenary.Process, "Rails process stopped")
	})
	if err != nil {
		t.Fatal(err)
	}
	close(stop)
	count := <-published
	for _, o := range all {
		o.counts(count)
	}
	w.counted(t, 0)
}

// TestAdapter_PostgreSQL: Rails' own adapter, which listens and notifies, before a real server.
func TestAdapter_PostgreSQL(t *testing.T) {
	database := stage.StartPostgreSQL(t)
	w := listening(t, "postgresql", append(database.Env(), "LAB_DATABASE=true", "WEB_CONCURRENCY=2", "LAB_PRELOAD=false")...)
	w.disconnectsRemotely(t)
	w.countsStreams(t)
	w.replacesWorkers(t, func(streams []string, n int) error {
		var sql strings.Builder
		for _, stream := range streams {
			fmt.Fprintf(&sql, "NOTIFY \"lab:%s\", '%d';", stream, n)
		}
		return database.Do(sql.String())
	})
}

// TestAdapter_WithoutAProcessItIsNotReadyAndAfterwardsAllIsHeardAgain.
func TestAdapter_WithoutAProcessItIsNotReadyAndAfterwardsAllIsHeardAgain(t *testing.T) {
	w := listening(t, "polled")
	o := w.joins(t, "", "room")
	w.App.Process.Kill()
	if err := w.App.Up(); err != nil {
		t.Fatal(err)
	}
	if err := w.Catenary.Process.WaitFor(w.Catenary.Ready); err != nil {
		t.Fatal(err)
	}
	w.says(t, "room", "1")
	o.hearsMessages("1")
	w.counted(t, 1)
}

// TestAdapter_AfterAReloadEverythingIsHeard, though Rails restarts Action Cable.
func TestAdapter_AfterAReloadEverythingIsHeard(t *testing.T) {
	w := listening(t, "async", "LAB_RELOAD=true")
	o := w.joins(t, "", "room")
	for n := range 3 {
		if _, err := w.App.Request("POST", "/restart", ""); err != nil {
			t.Fatal(err)
		}
		o.performs(`{"action":"speak","n":1}`)
		o.hearsMessages(`{"ack":1}`, `{"said":1}`)
		w.says(t, "room", fmt.Sprint(n))
		o.hearsMessages(fmt.Sprint(n))
	}
}
