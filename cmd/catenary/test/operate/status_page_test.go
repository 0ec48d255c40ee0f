package operate

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/status"
	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// hostileName is a stream name that would do harm in a page or a terminal that printed it
// unescaped.
const hostileName = "<img src=x onerror=alert(1)>\x1b[2J\u202e\t" + `"'&amp;`

// A pageLog collects what a page writes to its console, violations of its Content-Security-Policy
// included.
type pageLog struct {
	mu    sync.Mutex
	lines []string
}

func (c *pageLog) add(event any) {
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

func (c *pageLog) all() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.lines, "\n")
}

// statusNow returns the answer of /status/now.
func statusNow(e *stage.Edge) (now status.Status) {
	e.Helper()
	text, err := stage.Get("http://" + e.Nodes[0].Operations + "/status/now")
	if err != nil {
		e.Fatal(err)
	}
	if err := json.Unmarshal([]byte(text), &now); err != nil {
		e.Fatalf("%v: %s", err, text)
	}
	return now
}

// crowd connects browsers that subscribe to the stream hostileName.
func crowd(e *stage.Edge, n int) {
	e.Helper()
	params, _ := json.Marshal(map[string]string{"channel": "StreamChannel", "s": hostileName})
	identifier, _ := json.Marshal(string(params))
	for range n {
		b := e.Connect(0, "/cable?uid=7&password=seCret", "Cookie: _session=seCret-cookie")
		e.Expect(b, stage.Welcome)
		b.Send(`{"command":"subscribe","identifier":` + string(identifier) + `}`)
		e.Expect(b, stage.Confirmation(string(params)))
	}
}

func TestStatusPage_ShowsARealRun(t *testing.T) {
	t.Parallel()
	e := stage.StartEdge(t, 2, "  nodes:\n    lease: 3s\n")
	page := stage.NewUser(t, stage.StartChromium(t))
	console := &pageLog{}
	if err := chromedp.Listen(page.Context, console.add); err != nil {
		t.Fatal(err)
	}
	page.Open("http://" + e.Nodes[0].Operations + "/")
	page.Expect("#state[data-state=ready]")
	figure := func(chart int) string {
		return fmt.Sprintf("#charts article:nth-child(%d) .legend div:first-child b", chart)
	}
	page.ExpectText(figure(1), "0")

	crowd(e, 3)
	page.ExpectText(figure(1), "3")
	publishing, stop := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(publishing)
		for {
			select {
			case <-stop:
				return
			default:
				e.Redis.Client.Publish(t.Context(), hostileName, `{"n":1}`)
			}
		}
	}()
	page.ExpectThat("deliveries above 0", `/^[1-9].*\/s$/.test(document.querySelector("`+figure(3)+`").textContent)`)
	page.ExpectThat("a stream with three members", `[...document.querySelectorAll("#busiest tr")].some(row => row.cells[0].textContent.startsWith("<img src=x") && row.cells[1].textContent === "3")`)
	close(stop)
	<-publishing
	if rails := statusNow(e).Rails; rails.Transport != "link" || len(rails.Processes) != 1 || rails.Processes[0].Workers != 4 || rails.Processes[0].Connections != 3 {
		t.Errorf("Rails is %+v", rails)
	}
	page.ExpectThat("calls to Rails by kind", `[...document.querySelectorAll("#calls td:first-child")].map(cell => cell.textContent).sort().join().includes("commands,connect")`)
	page.ExpectText("#handshakes td", "opened")
	page.ExpectText("#transport", "1 link")
	page.ExpectThat("the Rails process with three connections", `[...document.querySelectorAll("#processes tr")].some(row => /^b-[0-9a-z-]+0 of 403$/.test(row.textContent))`)
	page.ExpectThat("the name of the other node", `[...document.querySelectorAll("#about tr")].some(row => /^other nodesn-[0-9a-f]+$/.test(row.textContent))`)
	page.ExpectThat("a line with points", `document.querySelector("path[data-series=connections]").getAttribute("d").split("L").length > 3`)
	for _, width := range []int64{1280, 390} {
		page.Do("another width", chromedp.EmulateViewport(width, 800))
		page.ExpectThat("no horizontal scrolling", "document.documentElement.scrollWidth <= innerWidth")
	}

	page.Open("http://" + e.Nodes[0].Operations + "/") // a new page shows the past
	page.ExpectThat("the past", `document.querySelector("path[data-series=connections]")?.getAttribute("d").split("L").length > 3`)
	if shows := page.Text("body"); strings.Contains(shows, "seCret") || strings.ContainsAny(shows, "\x1b\u202e") {
		t.Errorf("the page shows a secret, or an unescaped name:\n%s", shows)
	}
	if images := stage.Evaluate[int](page, "document.images.length"); images != 1 {
		t.Errorf("%d images, want catenary's one", images)
	}
	if lines := console.all(); lines != "" {
		t.Errorf("the page's console has\n%s", lines)
	}
	if stage.Evaluate[bool](page, `(() => { const s = document.createElement("script"); s.textContent = "ran = 1"; document.body.append(s); return "ran" in window })()`) {
		t.Error("an inline script runs")
	}
	const background = "getComputedStyle(document.body).backgroundColor"
	light := stage.Evaluate[string](page, background)
	dark := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}}
	if _, err := chromedp.Call(page.Context, emulation.SetEmulatedMedia, dark); err != nil {
		t.Fatal(err)
	}
	page.ExpectThat("another colour in the dark", background+fmt.Sprintf(" !== %q", light))

	e.Redis.Down()
	page.Expect("#state[data-state=not-ready]")
	page.Expect("#reasons:not([hidden])")
	e.Nodes[0].Process.Kill()
	page.Expect("#state[data-state=lost]")
}

func TestStatusPage_LimitsWatchersAndCanBeTurnedOff(t *testing.T) {
	t.Parallel()
	e := stage.StartEdge(t, 1, "")
	url := "http://" + e.Nodes[0].Operations
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
	off := stage.StartEdge(t, 1, "  operations:\n    status: false\n")
	for _, path := range []string{"/", "/status/events", "/status/now", "/status/page.js"} {
		response, err := http.Get("http://" + off.Nodes[0].Operations + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != 404 {
			t.Errorf("%s: status %d", path, response.StatusCode)
		}
	}
}
