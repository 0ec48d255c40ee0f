package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/status"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// hostileName is a stream that would do harm on a page or in a terminal that believed it.
const hostileName = "<img src=x onerror=alert(1)>\x1b[2J\u202e\t" + `"'&amp;`

// complaints are what a page has written to its console, its violations of the policy among them.
type complaints struct {
	mu    sync.Mutex
	lines []string
}

func (c *complaints) hear(event any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch e := event.(type) {
	case *log.EventEntryAdded:
		c.lines = append(c.lines, fmt.Sprint(e.Entry.Level, " ", e.Entry.Text, " ", e.Entry.URL))
	case *runtime.EventExceptionThrown:
		c.lines = append(c.lines, e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		c.lines = append(c.lines, "console")
	}
}

func (c *complaints) all() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.lines, "\n")
}

// statusNow is what /status/now says.
func (e *edge) statusNow() (now status.Status) {
	e.Helper()
	text, err := get("http://" + e.nodes[0].operations + "/status/now")
	if err != nil {
		e.Fatal(err)
	}
	if err := json.Unmarshal([]byte(text), &now); err != nil {
		e.Fatalf("%v: %s", err, text)
	}
	return now
}

// crowd connects browsers that subscribe to the stream with the hostile name.
func (e *edge) crowd(n int) {
	e.Helper()
	params, _ := json.Marshal(map[string]string{"channel": "StreamChannel", "s": hostileName})
	identifier, _ := json.Marshal(string(params))
	for range n {
		b := e.connect(0, "/cable?uid=7&password=seCret", "Cookie: _session=seCret-cookie")
		e.hears(b, welcome)
		b.send(`{"command":"subscribe","identifier":` + string(identifier) + `}`)
		e.hears(b, confirmation(string(params)))
	}
}

func TestStatusPage_ShowsARealRun(t *testing.T) {
	t.Parallel()
	e := startEdge(t, 2, "  nodes:\n    lease: 3s\n")
	page := newUser(t, chromium(t))
	said := &complaints{}
	if err := chromedp.Listen(page.ctx, said.hear); err != nil {
		t.Fatal(err)
	}
	page.open("http://" + e.nodes[0].operations + "/")
	page.expect("#state[data-state=ready]")
	figure := func(chart int) string {
		return fmt.Sprintf("#charts article:nth-child(%d) .legend div:first-child b", chart)
	}
	page.expectText(figure(1), "0")

	e.crowd(3)
	page.expectText(figure(1), "3")
	publishing, stop := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(publishing)
		for {
			select {
			case <-stop:
				return
			default:
				e.redis.client.Publish(t.Context(), hostileName, `{"n":1}`)
			}
		}
	}()
	page.expectThat("deliveries above 0", `/^[1-9].*\/s$/.test(document.querySelector("`+figure(3)+`").textContent)`)
	page.expectThat("a stream with three members", `[...document.querySelectorAll("#busiest tr")].some(row => row.cells[0].textContent.startsWith("<img src=x") && row.cells[1].textContent === "3")`)
	close(stop)
	<-publishing
	page.expectThat("calls to Rails by kind", `[...document.querySelectorAll("#calls td:first-child")].map(cell => cell.textContent).sort().join().includes("frames,open")`)
	page.expectText("#handshakes td", "opened")
	page.expectThat("the name of the other node", `[...document.querySelectorAll("#about tr")].some(row => /^other nodesn-[0-9a-f]+$/.test(row.textContent))`)
	page.expectThat("a line with points", `document.querySelector("path[data-series=connections]").getAttribute("d").split("L").length > 3`)
	for _, width := range []int64{1280, 390} {
		page.do("another width", chromedp.EmulateViewport(width, 800))
		page.expectThat("nothing beside the page", "document.documentElement.scrollWidth <= innerWidth")
	}

	page.open("http://" + e.nodes[0].operations + "/") // a fresh page has the past
	page.expectThat("the past", `document.querySelector("path[data-series=connections]")?.getAttribute("d").split("L").length > 3`)
	if shows := page.text("body"); strings.Contains(shows, "seCret") || strings.ContainsAny(shows, "\x1b\u202e") {
		t.Errorf("the page shows a secret, or a name as it is:\n%s", shows)
	}
	if images := evaluate[int](page, "document.images.length"); images != 1 {
		t.Errorf("%d images, one is ours", images)
	}
	if lines := said.all(); lines != "" {
		t.Errorf("the page complains:\n%s", lines)
	}
	if evaluate[bool](page, `(() => { const s = document.createElement("script"); s.textContent = "ran = 1"; document.body.append(s); return "ran" in window })()`) {
		t.Error("a script that stands in the page runs")
	}
	const background = "getComputedStyle(document.body).backgroundColor"
	light := evaluate[string](page, background)
	dark := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}}
	if _, err := chromedp.Call(page.ctx, emulation.SetEmulatedMedia, dark); err != nil {
		t.Fatal(err)
	}
	page.expectThat("another colour in the dark", background+fmt.Sprintf(" !== %q", light))

	e.redis.down()
	page.expect("#state[data-state=not-ready]")
	page.expect("#why:not([hidden])")
	e.nodes[0].process.kill()
	page.expect("#state[data-state=lost]")
}

func TestStatusPage_IsServedToAFewAndCanBeTurnedOff(t *testing.T) {
	t.Parallel()
	e := startEdge(t, 1, "")
	url := "http://" + e.nodes[0].operations
	for i := range 17 {
		response, err := http.Get(url + "/status/events")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { response.Body.Close() })
		if want := map[bool]int{true: 200, false: 503}[i < 16]; response.StatusCode != want {
			t.Errorf("watcher %d: status %d, want %d", i, response.StatusCode, want)
		}
		if policy := response.Header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") {
			t.Errorf("policy %q", policy)
		}
	}
	off := startEdge(t, 1, "  operations:\n    status: false\n")
	for _, path := range []string{"/", "/status/events", "/status/now", "/status/page.js"} {
		response, err := http.Get("http://" + off.nodes[0].operations + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != 404 {
			t.Errorf("%s: status %d", path, response.StatusCode)
		}
	}
}
