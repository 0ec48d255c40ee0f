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

var rollingPages = flag.Int("rolling", 0, "pages of TestRollingRestart behind each proxy, which `make deploy-test` has 2,000 of")

// margin is what a page that comes back may wait beyond its own back-off: where that is measured, as long as it waits itself
// before it takes a connection for stale.
func margin() time.Duration {
	if *rollingPages > 0 {
		return staleAfter
	}
	return stage.Patience
}

// TestRollingRestart restarts two nodes behind a load balancer one after the other, while thousands follow the news. The
// short form has pages of the version that comes back soonest.
func TestRollingRestart(t *testing.T) {
	if *rollingPages == 0 {
		t.Parallel()
		restartRolling(t, "nginx", 200, monitors[:1])
		return
	}
	stage.Race = false
	var table strings.Builder
	fmt.Fprintf(&table, "| | pages | away, median | 99 %% | longest | of it asking, 99 %% | longest | attempts that failed | stop A, B |\n|%s\n", strings.Repeat(" --- |", 9))
	for _, proxy := range []string{"nginx", "haproxy"} {
		t.Run(proxy, func(t *testing.T) { table.WriteString(restartRolling(t, proxy, *rollingPages, monitors)) })
	}
	fmt.Println(table.String())
}

// restartRolling returns rows for the table.
func restartRolling(t *testing.T, proxy string, pages int, versions []monitor) string {
	w, err := stage.StartWorld("rails", "own", "RUBYLIB="+stage.ProjectRoot+"/rpc/rails/lib", "LAB_LOG_LEVEL=warn")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	var flags []string
	if proxy == "haproxy" { // which knows of a node that is back only at its next check
		flags = []string{"--shutdown-delay", "5s"}
	}
	var nodes [2]*stage.Catenary
	for i := range nodes {
		if nodes[i], err = stage.StartCatenary(w.App, flags...); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nodes[i].Process.Kill() })
	}
	w.Address = startWebServer(t, proxy, nodes)

	publishing, stopNews := context.WithCancel(t.Context())
	published := make(chan int64)
	go func() { published <- publishNews(publishing, w.Redis) }()
	following, stopFollowing := context.WithCancel(t.Context())
	defer stopFollowing()
	var followers []*follower
	var running sync.WaitGroup
	come := func(pages int, late bool) {
		for range pages {
			i := len(followers)
			f := &follower{address: w.Address, user: fmt.Sprintf("page%d", i), monitor: versions[i%len(versions)], late: late}
			followers = append(followers, f)
			running.Go(func() { f.run(following) })
			time.Sleep(3 * time.Millisecond) // as people come
		}
	}
	come(pages, false)
	real := stage.StartClient(t, w, "rolling", versions[len(versions)-1].version)
	if err := real.WaitFor(func() error { return stage.Wrote(real, "connected\n") }); err != nil {
		t.Fatal(err)
	}
	awaitAll(t, followers, "subscribed", func(f *follower) bool { return f.confirmed.Load() })

	var stops [2]time.Duration
	for i, node := range nodes {
		before := time.Now()
		node.Process.Signal(syscall.SIGTERM)
		come(pages/10, true)
		if !node.Process.WaitForExit() || node.Process.Err != nil {
			t.Fatalf("node %d did not end well: %v\n%s", i, node.Process.Err, node.Process.Output.Tail())
		}
		stops[i] = time.Since(before)
		if err := node.Up(w.App, flags...); err != nil {
			t.Fatal(err)
		}
	}
	awaitAll(t, followers, "back", func(f *follower) bool { return f.confirmed.Load() })
	latest := int64(0)
	for _, f := range followers {
		latest = max(latest, f.last.Load())
	}
	awaitAll(t, followers, "hearing news", func(f *follower) bool { return f.last.Load() > latest })
	stopNews()
	last := <-published
	awaitAll(t, followers, "up to date", func(f *follower) bool { return f.last.Load() == last })
	for ended := false; !ended; { // the real client may still be away
		if err := w.Redis.Do(`PUBLISH news {"end":true}`); err != nil {
			t.Fatal(err)
		}
		select {
		case <-real.Exited:
			ended = true
		case <-time.After(time.Second):
		}
	}
	stage.MustSucceed(t, real)
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

// publishNews numbers what it publishes, ten a second, and returns the last number.
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

// awaitAll waits until all pages are something.
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

// checkCallbacks compares the callbacks that have run in Rails with what the pages know. Rails may have been asked about a
// handshake that a node then left to the other one, and have subscribed a page that was sent on before it was told; but
// whatever began has ended.
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
		if connect < f.account.connections || disconnect != connect || subscribed < f.account.subscriptions || subscribed > connect || unsubscribed != subscribed {
			t.Errorf("user %s was connected %d times and subscribed %d times; but connect has run %d times, subscribed %d, unsubscribed %d, disconnect %d",
				f.user, f.account.connections, f.account.subscriptions, connect, subscribed, unsubscribed, disconnect)
		}
	}
}

// checkFollowers looks at what the pages with this version of the client have seen, and returns it as a row of the table.
func checkFollowers(t *testing.T, proxy string, version monitor, followers []*follower, stops [2]time.Duration) string {
	var away, waited []time.Duration
	pages, failures, wrongs := 0, 0, 0
	for _, f := range followers {
		if f.monitor.version != version.version {
			continue
		}
		pages++
		failures += f.account.failures
		away, waited = append(away, f.account.away...), append(waited, f.account.waited...)
		for _, wrong := range f.account.wrongs {
			if wrongs++; wrongs <= 20 {
				t.Error(wrong)
			}
		}
		if len(f.account.away) == 0 && !f.late {
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
		t.Errorf("a page with the client of %s was away for %v, where its own back-off is %v at most", version.version, longest, version.latest)
	}
	at := func(all []time.Duration, quantile float64) string {
		return fmt.Sprintf("%.2f", all[int(float64(len(all)-1)*quantile)].Seconds())
	}
	return fmt.Sprintf("| %s, client of Rails %s (at most %.1f) | %d | %s | %s | %s | %s | %s | %d | %.1f, %.1f |\n", proxy, version.version, version.latest.Seconds(), pages,
		at(away, .5), at(away, .99), at(away, 1), at(waited, .99), at(waited, 1), failures, stops[0].Seconds(), stops[1].Seconds())
}
