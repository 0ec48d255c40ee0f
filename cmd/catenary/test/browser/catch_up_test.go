package browser

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
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
	own := b.inNewTab()
	own.page.Open(b.url("/boards/1?channel=BoardChannel")) // which the app lists
	own.awaitSources()
	time.Sleep(youngPage)
	b.world.Catenary.Process.Kill()
	b.add("missed")
	if err := b.world.Catenary.Up(b.counted, b.flags...); err != nil {
		t.Fatal(err)
	}
	for _, b := range []*board{b, own} {
		b.page.ExpectText(".note", "missed")
		b.expectNotes(1)
	}
	b.expectLoads(4)
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
	b.expectSockets(1)
}

// The pages whose node is killed reconnect to the other one.
func TestCatchUp_AfterANodeBehindNginxIsKilled(t *testing.T) {
	t.Parallel()
	b := startBoard(t)
	another, err := stage.StartCatenary(b.counted, b.flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(another.Process.Kill)
	toRails := "location / { proxy_pass " + b.world.App.URL() + "; proxy_set_header Host $http_host; }\n"
	b.world.Address = stage.StartWebServer(t, "nginx", [2]*stage.Catenary{b.world.Catenary, another},
		"location /cable {", toRails+"location /cable {")

	pages := []*board{b, b.inNewTab(), b.inNewTab(), b.inNewTab()}
	for _, b := range pages {
		b.page.Open(b.url("/boards/1"))
		b.awaitSources()
	}
	b.add("live")
	time.Sleep(youngPage)
	another.Process.Kill()
	for i := range 10 {
		b.add(fmt.Sprint("missed ", i))
	}
	reconnected := 0
	for _, b := range pages {
		b.page.ExpectText(".note", "missed 9")
		if b.sockets() > 1 {
			reconnected++
		}
	}
	if reconnected == 0 || reconnected == len(pages) {
		t.Errorf("%d of %d pages had to reconnect", reconnected, len(pages))
	}
	b.expectLoads(len(pages) + reconnected)
	b.add("live again")
	for _, b := range pages {
		b.page.ExpectText(".note", "live again")
		b.expectNotes(12)
	}
	b.expectLoads(len(pages) + reconnected)
}

// Rails forwards the broadcasts, and the process that does so is killed. Another one stays.
func TestCatchUp_AfterTheListeningRailsProcessIsKilled(t *testing.T) {
	t.Parallel()
	b := startBoardWith(t, []string{"WEB_CONCURRENCY=1"}, "--broadcasts-adapter", "rails")
	b.page.Open(b.url("/boards/1"))
	b.awaitSources()
	puma := b.world.App.Process.Command.Process.Pid
	var listening int
	children, err := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", puma))
	if err == nil {
		_, err = fmt.Sscan(string(children), &listening)
	}
	if err != nil {
		t.Fatal(err)
	}
	b.world.App.Process.Signal(syscall.SIGTTIN) // one more worker
	if err := b.world.Catenary.Process.WaitFor(func() error {
		metrics, err := stage.Get("http://" + b.world.Catenary.Operations + "/metrics")
		if err == nil && !strings.Contains(metrics, "\ncatenary_rails_processes 2\n") {
			err = errors.New("no second Rails process")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	b.add("live")
	b.page.ExpectText(".note", "live")
	time.Sleep(youngPage)

	http.DefaultClient.CloseIdleConnections() // to the process that is about to stop
	syscall.Kill(listening, syscall.SIGSTOP)
	if !stage.Await(func() bool { return isStopped(t, listening) }) {
		t.Fatal("the process does not stop") // and could still accept the next request
	}
	b.add("missed")
	syscall.Kill(listening, syscall.SIGKILL)
	b.expectCaughtUp()
}

// isStopped reports whether all threads of a process are stopped.
func isStopped(t *testing.T, process int) bool {
	t.Helper()
	states, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", process))
	if err != nil || len(states) == 0 {
		t.Fatalf("process %d has no threads: %v", process, err)
	}
	for _, path := range states {
		if stat, err := os.ReadFile(path); err == nil && !strings.Contains(string(stat), ") T ") {
			return false
		}
	}
	return true
}

// Broadcasts stay in the process that makes them, and catenary does not listen to a new one at once.
func TestCatchUp_AfterTheOnlyRailsProcessIsRestarted(t *testing.T) {
	t.Parallel()
	b := startBoardWith(t, []string{"LAB_ADAPTER=async"})
	b.page.Open(b.url("/boards/1"))
	b.awaitSources()
	b.add("live")
	b.page.ExpectText(".note", "live")
	time.Sleep(youngPage)
	b.world.App.Process.Kill()
	b.storeElsewhere("missed")
	if err := b.world.App.Boot(); err != nil {
		t.Fatal(err)
	}
	b.expectCaughtUp()
}

// expectCaughtUp waits until the page has loaded the missed note on its open socket, and expects it
// to receive the next one.
func (b *board) expectCaughtUp() {
	b.t.Helper()
	b.page.ExpectText(".note", "missed")
	b.expectNotes(2)
	b.expectLoads(2)
	b.expectSockets(1)
	b.add("live again")
	b.page.ExpectText(".note", "live again")
}

// Every page refresh overwrites what is typed into forms, without the script.
func TestCatchUp_TheScriptInTheDocsKeepsWhatIsTyped(t *testing.T) {
	t.Parallel()
	b := startBoard(t)
	without := b.inNewTab()
	_, script, _ := strings.Cut(stage.ReadDoc(t, "catch-up.md"), "```js\n")
	script, _, _ = strings.Cut(script, "```")
	b.page.BeforeEachPage(script)
	for _, b := range []*board{without, b} {
		b.page.Open(b.url("/boards/1"))
		b.awaitSources()
		b.page.Click("#checked")
		stage.Evaluate[bool](b.page, `document.getElementById("chosen").value = "b"; true`)
		b.page.Write("#text", "more of it")
		b.page.Write("#note", "half a sentence")
	}
	typed := func(b *board) string {
		return stage.Evaluate[string](b.page, `note.value + "|" + text.value + "|" + checked.checked + "|" + chosen.value`)
	}
	b.storeElsewhere("missed")
	if _, err := b.world.App.Request("POST", "/broadcast",
		`{"stream":"board","message":"<turbo-stream action=\"refresh\"></turbo-stream>"}`); err != nil {
		t.Fatal(err)
	}
	for b, want := range map[*board]string{without: "||false|a", b: "half a sentence|more of it|true|b"} {
		b.page.ExpectText(".note", "missed")
		if got := typed(b); got != want {
			t.Errorf("the forms have %q, not %q", got, want)
		}
	}
	b.page.Click("#send")
	b.page.ExpectText(".note", "half a sentence")
	b.page.ExpectThat("an empty form", `note.value === ""`)
	if got := typed(b); got != "|more of it|true|b" {
		t.Errorf("after one was sent, the forms have %q", got)
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
	stored  string // the file of its notes
	page    *stage.Tab
}

func startBoard(t *testing.T, flags ...string) *board { return startBoardWith(t, nil, flags...) }

// turboRails is where the application takes Turbo's helpers and channel from: TURBO_RAILS is a checkout
// of turbo-rails; without it, the lab's own vendor folder has the code that matters.
func turboRails() string { return cmp.Or(os.Getenv("TURBO_RAILS"), "original") }

// startBoardWith adds env to the application's environment.
func startBoardWith(t *testing.T, env []string, flags ...string) *board {
	stored := filepath.Join(t.TempDir(), "board")
	env = append(env, "LAB_TURBO="+turboRails(), "LAB_BOARD="+stored, "CATENARY_TURBO_CATCH_UP=refresh")
	// The npm client gives a socket up after six seconds without a ping, also where only its tab got no processor.
	flags = append(flags, "--turbo-catch-up", "refresh", "--proxy", "--ping-interval", "1s")
	w := startTurboOn(t, false, env, flags...)
	return &board{t, w.world, w.counted, flags, stored, countingSockets(stage.NewUser(t, stage.StartChromium(t)))}
}

// inNewTab is another page of the same user.
func (b *board) inNewTab() *board {
	another := *b
	another.page = countingSockets(b.page.NewTab())
	return &another
}

func countingSockets(page *stage.Tab) *stage.Tab {
	page.BeforeEachPage(`
		sockets = 0
		WebSocket = class extends WebSocket { constructor(...all) { super(...all); sockets++ } }`)
	return page
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

// storeElsewhere adds a note as another program does, which broadcasts nothing.
func (b *board) storeElsewhere(note string) {
	b.t.Helper()
	file, err := os.OpenFile(b.stored, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = fmt.Fprintf(file, "{\"note\":%q}\n", note)
		file.Close()
	}
	if err != nil {
		b.t.Fatal(err)
	}
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

// sockets returns how many connections the page has opened.
func (b *board) sockets() int { return stage.Evaluate[int](b.page, "sockets") }

func (b *board) expectSockets(n int) {
	b.t.Helper()
	if opened := b.sockets(); opened != n {
		b.t.Errorf("the page has opened %d sockets, not %d", opened, n)
	}
}

func (b *board) expectDraft(want string) {
	b.t.Helper()
	if got := stage.Evaluate[string](b.page, `document.getElementById("draft").value`); got != want {
		b.t.Errorf("the form has %q, not %q", got, want)
	}
}
