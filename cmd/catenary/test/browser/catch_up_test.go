package browser

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// TestCatchUp_AFrozenTabShowsWhatItMissed freezes a page, as browsers do with tabs in the background,
// until its connection is stale.
func TestCatchUp_AFrozenTabShowsWhatItMissed(t *testing.T) {
	t.Parallel()
	b := startBoard(t)
	b.page.Open(b.url("/boards/1"))
	b.awaitSources()
	b.add("live")
	b.page.ExpectText(".note", "live")
	b.page.Write("#draft", "half a sentence")
	b.expectLoads(1)

	time.Sleep(youngPage)
	b.freeze()
	for i := range 20 {
		b.add(fmt.Sprint("missed ", i))
		time.Sleep(400 * time.Millisecond)
	}
	b.thaw()
	b.page.ExpectText(".note", "missed 19")
	b.expectNotes(21)
	b.expectLoads(2)
	b.expectDraft("half a sentence")

	// Neither a visit, nor the way back, nor a reload, nor a new tab costs a load of its own.
	b.page.Click("#elsewhere")
	b.page.ExpectThat("the other page", `location.pathname === "/boards/elsewhere"`)
	b.awaitSources()
	b.expectLoads(3)
	stage.Evaluate[bool](b.page, `history.back(); true`)
	b.page.ExpectThat("the first page", `location.pathname === "/boards/1"`)
	b.awaitSources()
	b.page.Open(b.url("/boards/1"))
	b.awaitSources()
	b.page.NewTab().Open(b.url("/boards/1"))
	time.Sleep(time.Second)
	b.expectLoads(5)
	b.add("at last")
	b.page.ExpectText(".note", "at last")
}

func TestCatchUp_AfterARestartOfCatenary(t *testing.T) {
	t.Parallel()
	b := startBoard(t)
	b.page.Open(b.url("/boards/1"))
	b.awaitSources()
	time.Sleep(youngPage)
	b.world.Catenary.Process.Kill()
	b.add("missed")
	if err := b.world.Catenary.Up(b.counted, b.flags...); err != nil {
		t.Fatal(err)
	}
	b.page.ExpectText(".note", "missed")
	b.expectNotes(1)
	b.expectLoads(2)
}

// The connection stays, and what is broadcast meanwhile is lost.
func TestCatchUp_AfterAGapOfRedis(t *testing.T) {
	t.Parallel()
	b := startBoard(t, "--turbo-verify-streams")
	b.page.Open(b.url("/boards/1"))
	b.awaitSources()
	time.Sleep(youngPage)
	b.world.Redis.Down()
	b.store("missed")
	if err := b.world.Redis.Up(); err != nil {
		t.Fatal(err)
	}
	b.page.ExpectText(".note", "missed")
	b.expectNotes(1)
	b.expectLoads(2)
	if opened := stage.Evaluate[int](b.page, "sockets"); opened != 1 {
		t.Errorf("the page has opened %d sockets", opened)
	}
}

// youngPage is more than the age up to which catenary refreshes no page.
const youngPage = 11 * time.Second

// A board is a page whose application stamps it.
type board struct {
	t       *testing.T
	world   *stage.World
	counted *stage.App // as catenary reaches it
	flags   []string
	page    *stage.Tab
}

func startBoard(t *testing.T, flags ...string) *board {
	flags = append(flags, "--turbo-catch-up", "refresh", "--proxy")
	w := startTurboOn(t, false, []string{"LAB_TURBO=original", "CATENARY_TURBO_CATCH_UP=refresh"}, flags...)
	page := stage.NewUser(t, stage.StartChromium(t))
	page.BeforeEachPage(`
		sockets = 0
		WebSocket = class extends WebSocket { constructor(...all) { super(...all); sockets++ } }`)
	return &board{t, w.world, w.counted, flags, page}
}

func (b *board) url(path string) string { return "http://" + b.world.Address + path }

func (b *board) awaitSources() {
	b.t.Helper()
	b.page.ExpectThat("two sources", `document.querySelectorAll("turbo-cable-stream-source[connected]").length === 2`)
}

func (b *board) add(note string) {
	b.t.Helper()
	if err := b.store(note); err != nil {
		b.t.Fatal(err)
	}
}

// store adds a note, even if it cannot be broadcast.
func (b *board) store(note string) error {
	_, err := b.world.App.Request("POST", "/notes", `{"note":"`+note+`"}`)
	return err
}

func (b *board) freeze() { b.lifecycle(page.SetWebLifecycleStateStateFrozen) }
func (b *board) thaw()   { b.lifecycle(page.SetWebLifecycleStateStateActive) }

func (b *board) lifecycle(state page.SetWebLifecycleStateState) {
	b.t.Helper()
	_, err := chromedp.Call(b.page.Context, page.SetWebLifecycleState, page.SetWebLifecycleStateParams{State: state})
	if err != nil {
		b.t.Fatal(err)
	}
}

// expectNotes expects the page to show n notes, each once.
func (b *board) expectNotes(n int) {
	b.t.Helper()
	shown := stage.Evaluate[[]string](b.page, `[...document.querySelectorAll(".note")].map(note => note.textContent)`)
	different := map[string]bool{}
	for _, note := range shown {
		different[note] = true
	}
	if len(shown) != n || len(different) != n {
		b.t.Errorf("the page shows %d notes, %d different ones, not %d: %q", len(shown), len(different), n, shown)
	}
}

func (b *board) expectLoads(n int) {
	b.t.Helper()
	text, err := b.world.App.Request("GET", "/board_loads", "")
	if err != nil {
		b.t.Fatal(err)
	}
	if loads, _ := strconv.Atoi(text); loads != n {
		b.t.Errorf("the page was loaded %s times, not %d", text, n)
	}
}

func (b *board) expectDraft(want string) {
	b.t.Helper()
	if got := stage.Evaluate[string](b.page, `document.getElementById("draft").value`); got != want {
		b.t.Errorf("the form has %q, not %q", got, want)
	}
}
