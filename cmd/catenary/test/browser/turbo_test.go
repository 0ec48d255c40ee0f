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

// TestTurboStreams drives the unmodified npm bundle of turbo-rails in a real browser.
func TestTurboStreams(t *testing.T) {
	t.Parallel()
	w := startTurbo(t)
	page := stage.NewUser(t, stage.StartChromium(t))

	t.Run("broadcasts append, replace and remove", func(t *testing.T) { w.in(t).changesThePage(page.In(t)) })
	t.Run("a forged name is rejected and asked for once", func(t *testing.T) { w.in(t).rejectsForgedNames(page.In(t)) })
	t.Run("twins cost no call", func(t *testing.T) { w.in(t).twinsCostNothing(page.In(t)) })
	t.Run("after twenty quick visits everything arrives once", func(t *testing.T) { w.in(t).survivesQuickVisits(page.In(t)) })
}

// The same where catenary verifies the names: Rails hears of no subscription.
func TestTurboStreams_VerifiedHere(t *testing.T) {
	t.Parallel()
	w := startTurboOn(t, true, []string{"LAB_TURBO=original"}, "--turbo-verify-streams")
	page := stage.NewUser(t, stage.StartChromium(t))

	t.Run("broadcasts append, replace and remove", func(t *testing.T) { w.in(t).changesThePage(page.In(t)) })
	t.Run("a forged name is rejected and asked for once", func(t *testing.T) { w.in(t).rejectsForgedNames(page.In(t)) })
	t.Run("twins cost no call", func(t *testing.T) { w.in(t).twinsCostNothing(page.In(t)) })
}

// A turboWorld has a page's server and somebody who counts the browsers' commands on their way to Rails.
type turboWorld struct {
	t     *testing.T
	world *stage.World
	calls *stage.CallCounter

	verified bool // Rails is asked for nothing
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
	return &turboWorld{t: t, world: w, calls: calls, verified: verified}
}

func (w *turboWorld) in(t *testing.T) *turboWorld {
	return &turboWorld{t: t, world: w.world, calls: w.calls, verified: w.verified}
}

// expectAsked expects so many subscribes to have gone to Rails, none if names are verified here.
func (w *turboWorld) expectAsked(before, want int) {
	w.t.Helper()
	w.expectAskedUpTo(before, want, want)
}

func (w *turboWorld) expectAskedUpTo(before, least, most int) {
	w.t.Helper()
	if w.verified {
		least, most = 0, 0
	}
	if n := w.calls.Count("subscribe") - before; n < least || n > most {
		w.t.Errorf("%d subscribes went to Rails, not %d to %d", n, least, most)
	}
}

func (w *turboWorld) changesThePage(page *stage.Tab) {
	page.Open(w.page("first", "streams=news"))
	w.awaitSources(page, 1, 1)
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
	w.awaitSources(page, 2, 1)
	asked := func() int { return stage.Evaluate[int](page, "asked") }
	if !stage.Await(func() bool { // a page that has heard the rejection asks no more, and until then every half second
		before := asked()
		time.Sleep(2 * time.Second)
		return asked() == before
	}) {
		w.t.Error("the page goes on asking")
	}
	// On a busy machine the client asks again before it hears the answer.
	w.expectAskedUpTo(before, 2, asked())
	w.awaitSources(page, 2, 1)
	w.broadcast("news", turboStream("append", "messages", `<p class="message">once</p>`))
	page.ExpectText(".message", "once")
	w.expectMessages(page, []string{"news"}, "once")
}

// Two sources with the same name are one subscription of the client. The one that comes later is never confirmed, and so
// the client repeats its subscribe for ever.
func (w *turboWorld) twinsCostNothing(page *stage.Tab) {
	before := w.calls.Count("subscribe")
	page.Open(w.page("twins", "streams=twin+twin"))
	w.awaitSources(page, 2, 2)
	stage.Evaluate[bool](page, `
		const send = WebSocket.prototype.send
		sent = 0
		WebSocket.prototype.send = function(text) { sent++; send.call(this, text) }
		document.body.append(document.querySelector("turbo-cable-stream-source").cloneNode())
		document.querySelector("turbo-cable-stream-source:last-of-type").removeAttribute("connected")
		true`)
	page.ExpectThat("three more subscribes", "sent >= 3")
	w.expectAsked(before, 1)
	w.broadcast("twin", turboStream("append", "messages", `<p class="message">for each</p>`))
	page.ExpectText(".message", "for each")
	w.expectMessages(page, []string{"twin"}, "for each", "for each", "for each")

	// Without one of them the others go on: the client unsubscribes with the last.
	unsubscribed := w.calls.Count("unsubscribe")
	stage.Evaluate[bool](page, `document.querySelector("turbo-cable-stream-source").remove(); document.getElementById("messages").replaceChildren(); true`)
	w.broadcast("twin", turboStream("append", "messages", `<p class="message">for two</p>`))
	page.ExpectText(".message", "for two")
	w.expectMessages(page, []string{"twin"}, "for two", "for two")
	if n := w.calls.Count("unsubscribe") - unsubscribed; n != 0 {
		w.t.Errorf("%d unsubscribes went to Rails", n)
	}
}

// Every visit unsubscribes from all, and subscribes to all of the next page, among them what was just left.
func (w *turboWorld) survivesQuickVisits(page *stage.Tab) {
	if err := w.world.App.Ask("DELETE /events"); err != nil {
		w.t.Fatal(err)
	}
	page.Open(w.page("0", "streams=shared+room0"))
	w.awaitSources(page, 2, 2)
	for round := range 3 {
		for visit := range 20 {
			room := (visit + 1) % 3
			stage.Evaluate[bool](page, fmt.Sprintf(`Turbo.visit("/pages/%d?streams=shared+room%[1]d"); true`, room))
			time.Sleep(time.Duration(20+visit*7) * time.Millisecond)
			w.broadcast("shared", turboStream("append", "messages", `<p class="meanwhile">.</p>`))
		}
		page.ExpectThat("the last page", `document.title === "2" && !document.documentElement.hasAttribute("data-turbo-preview")`)
		w.awaitSources(page, 2, 2)
		w.pass(page, "shared", "room2")
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
			w.t.Errorf("the page was loaded anew")
		}
		stage.Evaluate[bool](page, `document.getElementById("messages").replaceChildren(); true`)
	}
	w.expectSameSubscriptions(page)
}

// expectSameSubscriptions expects Rails to have the subscriptions that the page's client has. (They can be more than the
// page's sources: one that is removed while it still waits for the consumer forgets to unsubscribe. And the browser may keep
// pages that were left, with their sockets, and let go of them at any time.)
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
	standing := map[string]int{}
	for _, event := range events {
		switch name, identifier, _ := strings.Cut(event, " "); name {
		case "subscribed":
			standing[identifier]++
		case "unsubscribed":
			standing[identifier]--
		}
	}
	var got []string
	for identifier, n := range standing {
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

// awaitSources waits until of so many stream sources so many are connected.
func (w *turboWorld) awaitSources(page *stage.Tab, all, connected int) {
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

// passed numbers what pass broadcasts.
var passed atomic.Int64

// pass broadcasts something on streams until the page shows it: by then it shows all that was broadcast before.
func (w *turboWorld) pass(page *stage.Tab, streams ...string) {
	w.t.Helper()
	for _, stream := range streams {
		id := fmt.Sprintf("passed-%d", passed.Add(1))
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
			w.t.Fatalf("the page shows nothing of %s", stream)
		}
	}
}

// expectMessages expects the page to show these messages, and no more once it has shown what comes later on these streams.
func (w *turboWorld) expectMessages(page *stage.Tab, streams []string, want ...string) {
	w.t.Helper()
	w.pass(page, streams...)
	got := stage.Evaluate[[]string](page, `[...document.querySelectorAll(".message")].map(message => message.textContent)`)
	stream := func(message string) string { stream, _, _ := strings.Cut(message, " "); return stream }
	slices.SortStableFunc(got, func(a, b string) int { return strings.Compare(stream(a), stream(b)) })
	if strings.Join(got, "|") != strings.Join(want, "|") {
		w.t.Errorf("the page shows\n%q and not\n%q", got, want)
	}
}

func turboStream(action, target, content string) string {
	return fmt.Sprintf(`<turbo-stream action="%s" target="%s"><template>%s</template></turbo-stream>`, action, target, content)
}
