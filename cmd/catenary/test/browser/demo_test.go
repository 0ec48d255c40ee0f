package browser

import (
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
	"github.com/chromedp/chromedp"
)

// It runs the command of the README: catenary starts Rails, serves everything on one port, and
// needs no Redis.
func TestDemo_StartsRailsOnOnePortAndStopsIt(t *testing.T) {
	t.Parallel()
	c := startDemo(t)
	demo := c.catenary.Process
	c.chromium = stage.StartChromium(t)
	twoUsersTalk(c, c.openAgain(signInToDemo(c, "alice")), c.openAgain(signInToDemo(c, "bob")))

	demo.Signal(syscall.SIGINT)
	if !demo.WaitForExit() || demo.Err != nil {
		t.Fatalf("after Ctrl-C: %v\n%s", demo.Err, demo.Output.Tail())
	}
	if rails := backendOf(demo); rails == "" {
		t.Error("the address of Rails is not in the output")
	} else if conn, err := net.Dial("tcp", rails); err == nil {
		conn.Close()
		t.Errorf("Rails still listens on %s", rails)
	}
}

var screenshot = flag.String("screenshot", "", "file for a screenshot of the demo, for the README: docs/demo.png")

// Both chats are in one page and use the same Rails.
func TestDemo_ARestartDropsTheNativeSocketAndNotCatenarys(t *testing.T) {
	t.Parallel()
	c := startDemo(t)
	c.chromium = stage.StartChromium(t)
	page := signInToDemo(c, "alice")
	through := func(frame int) string { return fmt.Sprintf("frames[%d].sockets", frame) }
	const catenary, native = 0, 1
	say := func(frame int, text string) {
		t.Helper()
		stage.Evaluate[bool](page, fmt.Sprintf(`{
			const composer = frames[%d].document.getElementById("composer")
			composer.body.value = %q
			composer.requestSubmit()
			true
		}`, frame, text))
	}
	expectSaid := func(frame int, text string) {
		t.Helper()
		page.ExpectThat(text, fmt.Sprintf(`[...frames[%d].document.querySelectorAll("#messages .body")].some(body => body.textContent === %q)`, frame, text))
	}

	say(catenary, "Through catenary.")
	expectSaid(native, "Through catenary.")
	say(native, "Through Action Cable.")
	expectSaid(catenary, "Through Action Cable.")

	page.Click("#add-browsers")
	page.ExpectText("#browsers", "1,001")

	before := page.Text("#rails-process")
	page.Click("#restart")
	page.ExpectThat("the native socket closed", through(native)+`[0].readyState === WebSocket.CLOSED`)
	say(catenary, "Said while Rails restarted.")
	page.ExpectThat("another Rails process", fmt.Sprintf(`/^\d+$/.test(document.querySelector("#rails-process").textContent.replace(%q, ""))`, before))
	expectSaid(catenary, "Said while Rails restarted.")
	takeScreenshot(page)
	page.Expect("#native[data-state=connected]")
	say(native, "Back again.")
	expectSaid(catenary, "Back again.")

	if sockets := stage.Evaluate[int](page, through(native)+".length"); sockets < 2 {
		t.Errorf("the native page has opened %d sockets", sockets)
	}
	if gap := page.Text("#native .gap"); gap == "none" {
		t.Error("the page shows no gap of the native socket")
	}
	if sockets := stage.Evaluate[int](page, through(catenary)+".length"); sockets != 1 {
		t.Errorf("catenary's page has opened %d sockets", sockets)
	}
	if gap := page.Text("#catenary .gap"); gap != "none" {
		t.Errorf("the page shows a gap of %s of catenary's socket", gap)
	}
	page.ExpectText("#browsers", "1,001")
	c.catenary.Process.Stop(t) // the 1,000 browsers too, which would outlive a kill
}

// signInToDemo signs a user in and waits until both chats of the page are connected.
func signInToDemo(c *chat, name string) *stage.Tab {
	c.t.Helper()
	user := stage.NewUser(c.t, c.chromium)
	user.BeforeEachPage(`
		sockets = []
		WebSocket = class extends WebSocket {
			constructor(...options) { super(...options); sockets.push(this) }
		}`)
	user.Do("size the window", chromedp.EmulateViewport(1280, 720))
	user.Open(c.url() + "/session/new")
	user.Write("#user_name", name+"\r")
	user.Expect("#catenary[data-state=connected]")
	user.Expect("#native[data-state=connected]")
	return user
}

func takeScreenshot(page *stage.Tab) {
	page.T.Helper()
	if *screenshot == "" {
		return
	}
	png, err := chromedp.Run(page.Context, chromedp.CaptureScreenshot())
	if err != nil {
		page.T.Fatal(err)
	}
	if err := os.WriteFile(*screenshot, png, 0o644); err != nil {
		page.T.Fatal(err)
	}
}

func startDemo(t *testing.T) *chat {
	release := stage.BootTurn()
	defer release()
	address, operations := stage.FreeAddress(), stage.FreeAddress()
	_, port, _ := strings.Cut(address, ":")
	folder := t.TempDir()
	demo, err := stage.Start(stage.ProjectRoot, append(stage.QuickBoot(), "PORT="+port, "CATENARY_OPERATIONS_LISTEN="+operations,
		"DATABASE_PATH="+folder+"/chat.sqlite3", "PIDFILE="+folder+"/server.pid"),
		stage.ProjectRoot+"/script/demo")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		demo.Kill()
		if t.Failed() {
			crowd, _ := os.ReadFile(stage.ProjectRoot + "/testdata/rails/log/crowd.log") // why the 1,000 browsers left
			t.Logf("the end of the output:\n%s\n%s", demo.Output.Tail(), crowd)
		}
	})
	c := &chat{t: t, catenary: &stage.Catenary{Address: address, Operations: operations, Process: demo}}
	if err := demo.WaitFor(c.catenary.Ready); err != nil {
		t.Fatal(err)
	}
	return c
}

// backendOf returns Rails' address from Puma's output.
func backendOf(p *stage.Process) (address string) {
	if _, rest, found := strings.Cut(p.Output.String(), "Listening on http://"); found {
		fmt.Sscan(rest, &address)
	}
	return address
}
