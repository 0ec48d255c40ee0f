package deploy

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

var rollingPages = flag.Int("rolling", 0, "number of pages in TestRollingRestart behind each proxy; `make deploy-test` has 2,000")

// margin is how long a page may take to reconnect beyond its own back-off. When measuring, it is
// the time after which a page finds its connection stale.
func margin() time.Duration {
	if *rollingPages > 0 {
		return staleAfter
	}
	return stage.Patience
}

// Two nodes behind a load balancer are restarted one after the other while pages follow the news.
// The short test has 200 pages with the client that reconnects soonest.
func TestRollingRestart_EveryPageReconnectsInTime(t *testing.T) {
	if *rollingPages == 0 {
		t.Parallel()
		restartRolling(t, "nginx", 200, monitors[:1])
		return
	}
	stage.Race = false
	var table strings.Builder
	fmt.Fprintf(&table, "| | pages | disconnected, median | 99 %% | longest | of which reconnecting, 99 %% | longest | failed attempts | stop of A, B |\n|%s\n", strings.Repeat(" --- |", 9))
	for _, proxy := range []string{"nginx", "haproxy"} {
		t.Run(proxy, func(t *testing.T) { table.WriteString(restartRolling(t, proxy, *rollingPages, monitors)) })
	}
	fmt.Println(table.String())
}

// restartRolling runs the test behind a proxy and returns rows for the table.
func restartRolling(t *testing.T, proxy string, pages int, versions []monitor) string {
	w, err := stage.StartWorld("rails", "own", "RUBYLIB="+stage.ProjectRoot+"/rpc/rails/lib", "LAB_LOG_LEVEL=warn")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	var flags []string
	if proxy == "haproxy" { // it uses a restarted node only after its next health check
		flags = []string{"--shutdown-delay", "5s"}
	}
	var nodes [2]*stage.Catenary
	for i := range nodes {
		if nodes[i], err = stage.StartCatenary(w.App, flags...); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nodes[i].Process.Kill() })
	}
	w.Address = stage.StartWebServer(t, proxy, nodes)

	publishing, stopNews := context.WithCancel(t.Context())
	published := make(chan int64)
	go func() { published <- publishNews(publishing, w.Redis) }()
	following, stopFollowing := context.WithCancel(t.Context())
	defer stopFollowing()
	var followers []*follower
	var running sync.WaitGroup
	connect := func(pages int, late bool) {
		for range pages {
			i := len(followers)
			f := &follower{address: w.Address, user: fmt.Sprintf("page%d", i), monitor: versions[i%len(versions)], late: late}
			followers = append(followers, f)
			running.Go(func() { f.run(following) })
			time.Sleep(3 * time.Millisecond) // not all at once
		}
	}
	connect(pages, false)
	client := stage.StartClient(t, w, "rolling", versions[len(versions)-1].version)
	if err := client.WaitFor(func() error { return stage.Wrote(client, "connected\n") }); err != nil {
		t.Fatal(err)
	}
	awaitAll(t, followers, "subscribed", func(f *follower) bool { return f.confirmed.Load() })

	var stops [2]time.Duration
	for i, node := range nodes {
		before := time.Now()
		node.Process.Signal(syscall.SIGTERM)
		connect(pages/10, true)
		if !node.Process.WaitForExit() || node.Process.Err != nil {
			t.Fatalf("node %d exited with %v\n%s", i, node.Process.Err, node.Process.Output.Tail())
		}
		stops[i] = time.Since(before)
		if err := node.Up(w.App, flags...); err != nil {
			t.Fatal(err)
		}
		// nginx asks each node once: a handshake that a starting node and then a stopping one rejected
		// would fail.
		awaitAll(t, followers, "subscribed again", func(f *follower) bool { return f.confirmed.Load() })
	}
	latest := int64(0)
	for _, f := range followers {
		latest = max(latest, f.last.Load())
	}
	awaitAll(t, followers, "getting news", func(f *follower) bool { return f.last.Load() > latest })
	stopNews()
	last := <-published
	awaitAll(t, followers, "up to date", func(f *follower) bool { return f.last.Load() == last })
	for ended := false; !ended; { // the real client may be disconnected at the moment
		if err := w.Redis.Do(`PUBLISH news {"end":true}`); err != nil {
			t.Fatal(err)
		}
		select {
		case <-client.Exited:
			ended = true
		case <-time.After(time.Second):
		}
	}
	stage.MustSucceed(t, client)
	stopFollowing()
	running.Wait()
	for _, node := range nodes {
		node.Process.Stop(t)
	}

	checkCallbacks(t, w.App, followers)
	rows := ""
	for _, version := range versions {
		rows += checkFollowers(t, proxy, version, followers, stops)
	}
	t.Log("\n" + rows)
	return rows
}

// publishNews publishes ten numbers a second until ctx ends, and returns the last one.
func publishNews(ctx context.Context, redis *stage.Redis) (n int64) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return n
		case <-tick.C:
			n++
			redis.Do(fmt.Sprintf(`PUBLISH news {"n":%d}`, n))
		}
	}
}

// awaitAll waits until a condition holds for all pages.
func awaitAll(t *testing.T, followers []*follower, what string, is func(*follower) bool) {
	t.Helper()
	var missing []string
	if !stage.Await(func() bool {
		missing = nil
		for _, f := range followers {
			if !is(f) {
				missing = append(missing, f.user)
			}
		}
		return len(missing) == 0
	}) {
		t.Fatalf("%d of %d are not %s, %s among them", len(missing), len(followers), what, missing[0])
	}
}

// checkCallbacks compares the callbacks that have run in Rails with what the pages recorded. Rails
// may have run connect for a handshake that a stopping node then left to the other one, and
// subscribed for a page that was disconnected before its confirmation. But for every connect there
// must be a disconnect.
func checkCallbacks(t *testing.T, app *stage.App, followers []*follower) {
	text, err := app.Request("GET", "/events", "")
	if err != nil {
		t.Fatal(err)
	}
	var log []struct{ Event, User string }
	if err := json.Unmarshal([]byte(text), &log); err != nil {
		t.Fatal(err)
	}
	ran := map[[2]string]int{}
	for _, entry := range log {
		ran[[2]string{entry.User, entry.Event}]++
	}
	for _, f := range followers {
		connect, subscribed, unsubscribed, disconnect := ran[[2]string{f.user, "connect"}], ran[[2]string{f.user, "subscribed"}], ran[[2]string{f.user, "unsubscribed"}], ran[[2]string{f.user, "disconnect"}]
		if connect < f.record.connections || disconnect != connect || subscribed < f.record.subscriptions || subscribed > connect || unsubscribed != subscribed {
			t.Errorf("user %s connected %d times and subscribed %d times, but connect ran %d times, subscribed %d, unsubscribed %d, disconnect %d",
				f.user, f.record.connections, f.record.subscriptions, connect, subscribed, unsubscribed, disconnect)
		}
	}
}

// checkFollowers checks what the pages with a version of the client recorded, and returns a row of
// the table.
func checkFollowers(t *testing.T, proxy string, version monitor, followers []*follower, stops [2]time.Duration) string {
	var away, waited []time.Duration
	pages, failures, problems := 0, 0, 0
	for _, f := range followers {
		if f.monitor.version != version.version {
			continue
		}
		pages++
		failures += f.record.failures
		away, waited = append(away, f.record.away...), append(waited, f.record.waited...)
		for _, problem := range f.record.problems {
			problems++
			if problems <= 20 {
				t.Error(problem)
			}
		}
		if len(f.record.away) == 0 && !f.late {
			t.Errorf("user %s was not disconnected, though both nodes were stopped", f.user)
		}
	}
	if t.Failed() {
		return ""
	}
	slices.Sort(away)
	slices.Sort(waited)
	longest := away[len(away)-1]
	if longest > version.latest+margin() {
		t.Errorf("a page with the client of %s took %v to reconnect; its own back-off is at most %v", version.version, longest, version.latest)
	}
	at := func(all []time.Duration, quantile float64) string {
		return fmt.Sprintf("%.2f", all[int(float64(len(all)-1)*quantile)].Seconds())
	}
	return fmt.Sprintf("| %s, client of Rails %s (at most %.1f) | %d | %s | %s | %s | %s | %s | %d | %.1f, %.1f |\n", proxy, version.version, version.latest.Seconds(), pages,
		at(away, .5), at(away, .99), at(away, 1), at(waited, .99), at(waited, 1), failures, stops[0].Seconds(), stops[1].Seconds())
}
