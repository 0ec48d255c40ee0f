package cable

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cable/admission/turbo"
	"github.com/catenary-cable/catenary/protocol"
)

// stamps are those of the app in these tests, whose clock is an hour ahead.
var stamps = turbo.NewStamps("x")

const ahead = time.Hour

// newCatchUpWorld is a world whose pages catch up. interval stands for a minute.
func newCatchUpWorld(t *testing.T, interval time.Duration) *world {
	w := newWorld(t)
	w.server.renderings = turbo.NewRenderings(interval)
	w.server.CatchUp(stamps, ahead)
	return w
}

// source is the identifier of an element of a page that was rendered some time ago.
func source(stream, rendering string, age time.Duration) string {
	return stampedWith(stream, stamps.Sign(turbo.Stamp{Rendering: rendering, Time: time.Now().Add(ahead - age)}))
}

func stampedWith(stream, stamp string) string {
	return fmt.Sprintf(`{"channel":"Turbo::StreamsChannel","signed_stream_name":%q,"catenary_stamp":%q}`, stream, stamp)
}

const old = 11 * time.Second

// enter subscribes and expects the confirmation.
func (b *browser) enter(identifier string) {
	b.Helper()
	b.send(`{"command":"subscribe","identifier":` + string(protocol.Quote(identifier)) + `}`)
	b.expect(string(protocol.Confirm(identifier)))
}

func (b *browser) expectRefresh(identifier string) {
	b.Helper()
	b.expect(string(protocol.Message(identifier, []byte(refreshMessage))))
}

// expectQuiet expects nothing before the answer to a further command.
func (b *browser) expectQuiet() {
	b.Helper()
	time.Sleep(4 * refreshInterval)
	b.send(`{"command":"message","identifier":"echo","data":"1"}`)
	b.expect(message("echo", "1"))
}

func (w *world) expectOutcomes(want map[string]int64) {
	w.Helper()
	counts := func() map[string]int64 {
		counts := w.server.Stats().CatchUps
		for outcome, n := range counts {
			if n == 0 {
				delete(counts, outcome)
			}
		}
		return counts
	}
	w.eventually("outcomes", func() bool { return fmt.Sprint(counts()) == fmt.Sprint(want) })
}

func TestCatchUp_RefreshesAnOldPageOnceAConnection(t *testing.T) {
	w := newCatchUpWorld(t, time.Minute)
	b := w.welcomed()
	first := source("a", "page", old)
	b.enter(first)
	b.expectRefresh(first)
	b.enter(source("b", "page", old))           // another element of the page
	b.enter(source("a", "restored", time.Hour)) // Turbo's way back
	b.expectQuiet()
	w.expectOutcomes(map[string]int64{refreshed: 1})
}

// The app lists further channels, whose elements the gem stamps.
func TestCatchUp_RefreshesThroughAnyChannelWithAStamp(t *testing.T) {
	w := newCatchUpWorld(t, time.Minute)
	b := w.welcomed()
	own := strings.Replace(source("a", "page", old), "Turbo::StreamsChannel", "RoomChannel", 1)
	b.enter(own)
	b.expectRefresh(own)
	w.expectOutcomes(map[string]int64{refreshed: 1})
}

func TestCatchUp_LeavesYoungPagesAlone(t *testing.T) {
	w := newCatchUpWorld(t, time.Minute)
	b := w.welcomed()
	b.enter(source("a", "page", 8*time.Second))
	b.enter(source("a", "snapshot", time.Hour)) // visited with the connection open
	b.expectQuiet()
	b = w.welcomed()
	b.enter(source("a", "future", -time.Hour))
	b.expectQuiet()
	w.expectOutcomes(map[string]int64{stampYoung: 2})
}

func TestCatchUp_IgnoresOtherSubscriptionsAndBadStamps(t *testing.T) {
	w := newCatchUpWorld(t, time.Minute)
	b := w.welcomed()
	b.enter(`{"channel":"RoomChannel"}`)
	b.enter(`{"channel":"Turbo::StreamsChannel","signed_stream_name":"a"}`)
	foreign := turbo.NewStamps("another app").Sign(turbo.Stamp{Rendering: "page", Time: time.Now().Add(ahead - old)})
	b.enter(stampedWith("a", foreign))
	b.enter(stampedWith("a", "nonsense"))
	b.expectQuiet()
	page := source("b", "page", old) // one element is enough
	b.enter(page)
	b.expectRefresh(page)
	w.expectOutcomes(map[string]int64{turbo.Missing: 1, turbo.Invalid: 2, refreshed: 1})
}

// refreshOnce has a browser with an old page refreshed, and waits until its connection is gone.
func (w *world) refreshOnce(page string) {
	w.Helper()
	b := w.welcomed()
	b.enter(page)
	b.expectRefresh(page)
	b.ws.Close()
	w.eventually("the first connection is gone", func() bool { return w.server.Stats().Connections == 0 })
}

func TestCatchUp_LoadsAPageOnceAMinute(t *testing.T) {
	page := source("a", "page", old) // after a morph the element has its first stamp
	w := newCatchUpWorld(t, time.Minute)
	w.refreshOnce(page)
	b := w.welcomed()
	b.enter(page)
	b.expectQuiet()
	if n := w.server.Stats().Refreshes; n != 1 {
		t.Errorf("%d refreshes are due", n)
	}
	w.expectOutcomes(map[string]int64{refreshed: 1})

	w = newCatchUpWorld(t, time.Second)
	w.refreshOnce(page)
	b = w.welcomed()
	b.enter(page)
	b.expectRefresh(page)
	w.expectOutcomes(map[string]int64{refreshed: 2})
}

func TestCatchUp_ForgetsWhatIsDueForAPageThatIsLeft(t *testing.T) {
	w := newCatchUpWorld(t, 10*time.Second) // more than a slow machine needs to leave the page
	page := source("a", "page", old)
	w.refreshOnce(page)
	again, gone := w.welcomed(), w.welcomed()
	again.enter(page)
	gone.enter(page)
	again.send(`{"command":"unsubscribe","identifier":` + string(protocol.Quote(page)) + `}`)
	again.enter(source("a", "next page", 0))
	gone.ws.Close()
	w.expectOutcomes(map[string]int64{refreshed: 1, pageLeft: 2})
	again.expectQuiet()
	if n := w.server.Stats().Refreshes; n != 0 {
		t.Errorf("%d refreshes are due", n)
	}
}

func TestCatchUp_NeverRefreshesAStampThatBrowsersShare(t *testing.T) {
	w := newCatchUpWorld(t, 3*time.Second)
	page := source("a", "cached", old)
	b := w.welcomed()
	b.enter(page)
	b.expectRefresh(page) // nobody shared it yet
	for range 4 {
		w.welcomed().enter(page)
	}
	w.expectOutcomes(map[string]int64{refreshed: 1, stampShared: 4})
	w.server.CatchUpAfterGap()
	w.expectOutcomes(map[string]int64{refreshed: 1, stampShared: 9})
	b.expectQuiet()
}

func TestCatchUp_RefreshesAfterAGapOnConnectionsThatStayed(t *testing.T) {
	w := newCatchUpWorld(t, time.Second)
	page, plain := source("a", "page", 0), `{"channel":"Turbo::StreamsChannel","signed_stream_name":"a"}`
	stayed, without := w.welcomed(), w.welcomed()
	stayed.enter(page)
	without.enter(plain)
	w.server.CatchUpAfterGap()
	w.server.CatchUpAfterGap()
	without.expectQuiet()
	stayed.expectQuiet() // as long as the page is young
	stayed.expectRefresh(page)
	w.server.CatchUpAfterGap()
	stayed.expectRefresh(page)
	w.expectOutcomes(map[string]int64{stampYoung: 1, turbo.Missing: 1, refreshedGap: 2})
}

func TestCatchUp_IsPaced(t *testing.T) {
	w := newCatchUpWorld(t, time.Minute)
	const pages = 20
	var all []*browser
	var sources []string
	for i := range pages {
		all = append(all, w.welcomed())
		sources = append(sources, source("a", fmt.Sprint("page ", i), old))
	}
	began := time.Now()
	for i, b := range all {
		b.enter(sources[i])
	}
	for i, b := range all {
		b.expectRefresh(sources[i])
	}
	if took := time.Since(began); took < (pages-1)*refreshInterval {
		t.Errorf("%d pages were refreshed within %v", pages, took)
	}
}

func TestCatchUp_IsOffByDefault(t *testing.T) {
	w := newWorld(t)
	b := w.welcomed()
	b.enter(source("a", "page", old))
	w.server.CatchUpAfterGap()
	b.expectQuiet()
	w.expectOutcomes(map[string]int64{})
}
