package browser

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// The npm bundle of turbo-rails is unmodified.
func TestTurboStreams_VerifiedByRails(t *testing.T) {
	t.Parallel()
	w := startTurbo(t)
	page := stage.NewUser(t, stage.StartChromium(t))

	t.Run("broadcasts append, replace and remove", func(t *testing.T) { w.in(t).changesThePage(page.In(t)) })
	t.Run("a forged name is rejected and not asked for again", func(t *testing.T) { w.in(t).rejectsForgedNames(page.In(t)) })
	t.Run("repeated subscribes cost no call", func(t *testing.T) { w.in(t).repeatedSubscribesCostNothing(page.In(t)) })
	t.Run("after twenty quick visits everything arrives once", func(t *testing.T) { w.in(t).survivesQuickVisits(page.In(t)) })
}

// Rails gets no subscribe at all.
func TestTurboStreams_VerifiedByCatenary(t *testing.T) {
	t.Parallel()
	w := startTurboOn(t, true, []string{"LAB_TURBO=original"}, "--turbo-verify-streams")
	page := stage.NewUser(t, stage.StartChromium(t))

	t.Run("broadcasts append, replace and remove", func(t *testing.T) { w.in(t).changesThePage(page.In(t)) })
	t.Run("a forged name is rejected and not asked for again", func(t *testing.T) { w.in(t).rejectsForgedNames(page.In(t)) })
	t.Run("repeated subscribes cost no call", func(t *testing.T) { w.in(t).repeatedSubscribesCostNothing(page.In(t)) })
}

// A turboWorld is a server for pages, and a counter of the commands that go to Rails.
type turboWorld struct {
	t       *testing.T
	world   *stage.World
	calls   *stage.CallCounter
	counted *stage.App // as catenary reaches it

	verified bool // catenary verifies stream names, so Rails gets no subscribes
}

func startTurbo(t *testing.T) *turboWorld { return startTurboOn(t, false, nil) }

func startTurboOn(t *testing.T, verified bool, env []string, flags ...string) *turboWorld {
	w := &stage.World{}
	t.Cleanup(w.Close)
	var err error
	if w.Redis, err = stage.StartRedis(); err != nil {
		t.Fatal(err)
	}
	if w.App, err = stage.StartApp("lab", true, append(env, "REDIS_URL="+w.Redis.URL())...); err != nil {
		t.Fatal(err)
	}
	calls, counted := stage.CountCalls(t, w.App)
	if w.Catenary, err = stage.StartCatenary(counted, append(flags, "--proxy")...); err != nil {
		t.Fatal(err)
	}
	w.Address = w.Catenary.Address
	return &turboWorld{t: t, world: w, calls: calls, counted: counted, verified: verified}
}

func (w *turboWorld) in(t *testing.T) *turboWorld {
	return &turboWorld{t: t, world: w.world, calls: w.calls, verified: w.verified}
}

// expectSubscribes expects this number of subscribes to have gone to Rails, or none if catenary
// verifies names.
func (w *turboWorld) expectSubscribes(before, want int) {
	w.t.Helper()
	w.expectSubscribesBetween(before, want, want)
}

func (w *turboWorld) expectSubscribesBetween(before, least, most int) {
	w.t.Helper()
	if w.verified {
		least, most = 0, 0
	}
	if n := w.calls.Count("subscribe") - before; n < least || n > most {
		w.t.Errorf("%d subscribes went to Rails, want %d to %d", n, least, most)
	}
}

func (w *turboWorld) changesThePage(page *stage.Tab) {
	page.Open(w.page("first", "streams=news"))
	w.expectSources(page, 1, 1)
	w.broadcast("news", turboStream("append", "messages", `<p id="one" class="message">1</p>`))
	w.broadcast("news", turboStream("append", "messages", `<p id="two" class="message">2 &amp; &lt;</p>`))
	page.ExpectText("#two", "2 & <")
	w.broadcast("news", turboStream("replace", "one", `<p id="one" class="message">changed</p>`))
	page.ExpectText("#one", "changed")
	w.broadcast("news", turboStream("remove", "one", ""))
	page.ExpectThat("no #one", `document.getElementById("one") === null`)
	w.expectMessages(page, []string{"news"}, "2 & <")
}

func (w *turboWorld) rejectsForgedNames(page *stage.Tab) {
	before := w.calls.Count("subscribe")
	page.BeforeEachPage(`
		asked = 0
		{
			const send = WebSocket.prototype.send
			WebSocket.prototype.send = function(text) { if (JSON.parse(text).command === "subscribe") asked++; send.call(this, text) }
		}`)
	page.Open(w.page("forged", "streams=news&forged=news"))
	w.expectSources(page, 2, 1)
	asked := func() int { return stage.Evaluate[int](page, "asked") }
	if !stage.Await(func() bool { // the client repeats its subscribe every half second until it is rejected
		before := asked()
		time.Sleep(2 * time.Second)
		return asked() == before
	}) {
		w.t.Error("the page repeats its subscribe after the rejection")
	}
	// On a busy machine the client repeats its subscribe before the rejection arrives.
	w.expectSubscribesBetween(before, 2, asked())
	w.expectSources(page, 2, 1)
	w.broadcast("news", turboStream("append", "messages", `<p class="message">once</p>`))
	page.ExpectText(".message", "once")
	w.expectMessages(page, []string{"news"}, "once")
}

// Two sources with the same name are one subscription of the client. The later source is never
// confirmed, so the client repeats the subscribe forever.
func (w *turboWorld) repeatedSubscribesCostNothing(page *stage.Tab) {
	before := w.calls.Count("subscribe")
	page.Open(w.page("twins", "streams=twin+twin"))
	w.expectSources(page, 2, 2)
	stage.Evaluate[bool](page, `
		const send = WebSocket.prototype.send
		sent = 0
		WebSocket.prototype.send = function(text) { sent++; send.call(this, text) }
		document.body.append(document.querySelector("turbo-cable-stream-source").cloneNode())
		document.querySelector("turbo-cable-stream-source:last-of-type").removeAttribute("connected")
		true`)
	page.ExpectThat("three more subscribes", "sent >= 3")
	w.expectSubscribes(before, 1)
	w.broadcast("twin", turboStream("append", "messages", `<p class="message">for each</p>`))
	page.ExpectText(".message", "for each")
	w.expectMessages(page, []string{"twin"}, "for each", "for each", "for each")

	// The others keep working after one is removed: the client unsubscribes with the last.
	unsubscribed := w.calls.Count("unsubscribe")
	stage.Evaluate[bool](page, `document.querySelector("turbo-cable-stream-source").remove(); document.getElementById("messages").replaceChildren(); true`)
	w.broadcast("twin", turboStream("append", "messages", `<p class="message">for two</p>`))
	page.ExpectText(".message", "for two")
	w.expectMessages(page, []string{"twin"}, "for two", "for two")
	if n := w.calls.Count("unsubscribe") - unsubscribed; n != 0 {
		w.t.Errorf("%d unsubscribes went to Rails", n)
	}
}

// Every visit unsubscribes from all streams and subscribes to those of the next page, some of them
// the same.
func (w *turboWorld) survivesQuickVisits(page *stage.Tab) {
	if err := w.world.App.Ask("DELETE /events"); err != nil {
		w.t.Fatal(err)
	}
	page.Open(w.page("0", "streams=shared+room0"))
	w.expectSources(page, 2, 2)
	for round := range 3 {
		for visit := range 20 {
			room := (visit + 1) % 3
			stage.Evaluate[bool](page, fmt.Sprintf(`Turbo.visit("/pages/%d?streams=shared+room%[1]d"); true`, room))
			time.Sleep(time.Duration(20+visit*7) * time.Millisecond)
			w.broadcast("shared", turboStream("append", "messages", `<p class="meanwhile">.</p>`))
		}
		page.ExpectThat("the last page", `document.title === "2" && !document.documentElement.hasAttribute("data-turbo-preview")`)
		w.expectSources(page, 2, 2)
		w.awaitEarlierBroadcasts(page, "shared", "room2")
		var want []string
		for i := range 5 {
			for _, stream := range []string{"shared", "room0", "room1", "room2"} {
				text := fmt.Sprintf("%s %d %d", stream, round, i)
				w.broadcast(stream, turboStream("append", "messages", `<p class="message">`+text+`</p>`))
				if stream == "shared" || stream == "room2" {
					want = append(want, text)
				}
			}
		}
		page.ExpectText(".message", want[len(want)-1])
		slices.Sort(want) // streams may overtake each other
		w.expectMessages(page, []string{"shared", "room2"}, want...)
		if sockets := stage.Evaluate[int](page, `performance.getEntriesByType("navigation").length`); sockets != 1 {
			w.t.Errorf("the page was loaded again")
		}
		stage.Evaluate[bool](page, `document.getElementById("messages").replaceChildren(); true`)
	}
	w.expectSameSubscriptions(page)
}

// expectSameSubscriptions expects Rails to have the subscriptions of the page's client. There can
// be more of them than sources in the page: a source that is removed while it waits for the
// consumer does not unsubscribe. The browser may also keep pages that were left, with their
// connections, for any time.
func (w *turboWorld) expectSameSubscriptions(page *stage.Tab) {
	w.t.Helper()
	stage.Evaluate[bool](page, `import("/turbo.js").then(({ cable }) => cable.getConsumer()).then(found => consumer = found); true`)
	page.ExpectThat("the consumer", `typeof consumer === "object"`)
	var differences []string
	if !stage.Await(func() bool {
		differences = w.compareSubscriptions(page)
		return len(differences) == 0
	}) {
		w.t.Error(strings.Join(differences, "\n"))
	}
}

func (w *turboWorld) compareSubscriptions(page *stage.Tab) (differences []string) {
	w.t.Helper()
	want := stage.Evaluate[[]string](page, `[...new Set(consumer.subscriptions.subscriptions.map(({ identifier }) => identifier))].sort()`)
	events, err := w.world.App.Events("1", stage.Events)
	if err != nil {
		w.t.Fatal(err)
	}
	open := map[string]int{}
	for _, event := range events {
		switch name, identifier, _ := strings.Cut(event, " "); name {
		case "subscribed":
			open[identifier]++
		case "unsubscribed":
			open[identifier]--
		}
	}
	var got []string
	for identifier, n := range open {
		if n > 0 {
			got = append(got, identifier)
		}
		if n > 1 {
			differences = append(differences, fmt.Sprintf("subscribed ran %d times more than unsubscribed for %s", n, identifier))
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		differences = append(differences, fmt.Sprintf("Rails has the subscriptions\n%q, the client\n%q", got, want))
	}
	return differences
}

func (w *turboWorld) page(name, query string) string {
	return "http://" + w.world.Address + "/pages/" + name + "?" + query
}

// expectSources waits until the page has this number of stream sources, and this number of them
// connected.
func (w *turboWorld) expectSources(page *stage.Tab, all, connected int) {
	w.t.Helper()
	page.ExpectThat(fmt.Sprintf("%d of %d stream sources connected", connected, all), fmt.Sprintf(
		`document.querySelectorAll("turbo-cable-stream-source").length === %d && document.querySelectorAll("turbo-cable-stream-source[connected]").length === %d`,
		all, connected))
}

func (w *turboWorld) broadcast(stream, html string) {
	w.t.Helper()
	message, _ := json.Marshal(map[string]string{"stream": stream, "message": html})
	if _, err := w.world.App.Request("POST", "/broadcast", string(message)); err != nil {
		w.t.Fatal(err)
	}
}

// markers numbers the elements of awaitEarlierBroadcasts.
var markers atomic.Int64

// awaitEarlierBroadcasts broadcasts an element on each stream until the page shows it. By then the
// page shows everything that was broadcast before.
func (w *turboWorld) awaitEarlierBroadcasts(page *stage.Tab, streams ...string) {
	w.t.Helper()
	for _, stream := range streams {
		id := fmt.Sprintf("marker-%d", markers.Add(1))
		if !stage.Await(func() bool {
			w.broadcast(stream, turboStream("append", "messages", `<p id="`+id+`"></p>`))
			for range 20 {
				if stage.Evaluate[bool](page, `document.getElementById("`+id+`") !== null`) {
					return true
				}
				time.Sleep(50 * time.Millisecond)
			}
			return false
		}) {
			w.t.Fatalf("the page shows no broadcast of %s", stream)
		}
	}
}

// expectMessages expects the page to show exactly these messages, after all earlier broadcasts have
// arrived.
func (w *turboWorld) expectMessages(page *stage.Tab, streams []string, want ...string) {
	w.t.Helper()
	w.awaitEarlierBroadcasts(page, streams...)
	got := stage.Evaluate[[]string](page, `[...document.querySelectorAll(".message")].map(message => message.textContent)`)
	stream := func(message string) string { stream, _, _ := strings.Cut(message, " "); return stream }
	slices.SortStableFunc(got, func(a, b string) int { return strings.Compare(stream(a), stream(b)) })
	if strings.Join(got, "|") != strings.Join(want, "|") {
		w.t.Errorf("the page shows\n%q\nwant\n%q", got, want)
	}
}

func turboStream(action, target, content string) string {
	return fmt.Sprintf(`<turbo-stream action="%s" target="%s"><template>%s</template></turbo-stream>`, action, target, content)
}
