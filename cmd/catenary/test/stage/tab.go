package stage

import (
	"context"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// chromium is Debian's build of Chromium without a user interface. Pages are the same in it, and it
// takes a third of the processor time of `chromium --headless`.
const chromium = "chromium-headless-shell"

// StartChromium starts a headless Chromium with a profile of its own and without background
// services.
func StartChromium(t *testing.T) context.Context {
	if _, err := exec.LookPath(chromium); err != nil {
		t.Fatal(chromium + " is missing: run script/install browser")
	}
	t.Cleanup(takeTurn("chromium", chromiumsAtOnce))
	allocator, cancel := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(chromium), chromedp.UserDataDir(t.TempDir()),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		chromedp.Cancel(ctx) // waits until it has exited, so that its profile can be removed
		cancel()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	return ctx
}

// A Tab is one page of one user.
type Tab struct {
	T       *testing.T
	Context context.Context
}

// NewUser opens a tab in a private window, with cookies of its own.
func NewUser(t *testing.T, chromium context.Context) *Tab {
	return openTab(t, chromium, chromedp.WithNewBrowserContext())
}

// NewTab opens another tab for the same user.
func (b *Tab) NewTab() *Tab {
	return openTab(b.T, b.Context) // in the window of the first
}

func openTab(t *testing.T, parent context.Context, options ...chromedp.ContextOption) *Tab {
	ctx, cancel := chromedp.NewContext(parent, options...)
	t.Cleanup(cancel)
	b := &Tab{t, ctx}
	if err := chromedp.Do(ctx); err != nil { // the first Do opens the tab
		t.Fatalf("open a tab: %v", err)
	}
	return b
}

// In returns the same tab for a subtest, which fails when the tab does.
func (b *Tab) In(t *testing.T) *Tab { return &Tab{t, b.Context} }

// Do runs an action of the user. what names it in failures.
func (b *Tab) Do(what string, action chromedp.Action[chromedp.Void]) {
	b.T.Helper()
	ctx, cancel := context.WithTimeout(b.Context, Patience)
	defer cancel()
	if err := chromedp.Do(ctx, action); err != nil {
		b.T.Fatalf("%s: %v; the page shows\n%s", what, err, b.Text("body"))
	}
}

// Open opens a page.
func (b *Tab) Open(url string) {
	b.T.Helper()
	b.Do("open "+url, chromedp.Navigate(url))
}

// BeforeEachPage adds a script that runs in every page opened from now on, before the page's own.
func (b *Tab) BeforeEachPage(script string) {
	b.T.Helper()
	if _, err := chromedp.Call(b.Context, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script}); err != nil {
		b.T.Fatal(err)
	}
}

// Click clicks on an element.
func (b *Tab) Click(selector string) {
	b.T.Helper()
	b.Do("click "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// Write types text into a field, key by key.
func (b *Tab) Write(selector, text string) {
	b.T.Helper()
	b.Do("write into "+selector, chromedp.SendKeys(chromedp.CSS(selector), text))
}

// Paste inserts text into a field at once, as from the clipboard.
func (b *Tab) Paste(selector, text string) {
	b.T.Helper()
	b.Click(selector)
	if !Evaluate[bool](b, fmt.Sprintf(`document.execCommand("insertText", false, %q)`, text)) {
		b.T.Fatalf("%s accepts no text", selector)
	}
}

// Expect waits until the page has an element.
func (b *Tab) Expect(selector string) {
	b.T.Helper()
	b.ExpectThat(selector, fmt.Sprintf("document.querySelector(%q) !== null", selector))
}

// ExpectText waits until an element has exactly this text.
func (b *Tab) ExpectText(selector, text string) {
	b.T.Helper()
	b.ExpectThat(selector+" with "+text,
		fmt.Sprintf("[...document.querySelectorAll(%q)].some(element => element.textContent.trim() === %q)", selector, text))
}

// ExpectThat waits until a JavaScript condition holds.
func (b *Tab) ExpectThat(what, condition string) {
	b.T.Helper()
	for began := time.Now(); time.Since(began) < Patience; PauseSince(began) {
		// A page that is unloading has no document: the evaluation fails, and is repeated.
		if holds, err := chromedp.Run(b.Context, chromedp.Evaluate[bool](condition)); err == nil && holds {
			return
		}
	}
	b.T.Fatalf("%s: not within %v; the page shows\n%s", what, Patience, b.Text("body"))
}

// Text returns the visible text of an element, "" if there is none.
func (b *Tab) Text(selector string) string {
	return Evaluate[string](b, fmt.Sprintf(`document.querySelector(%q)?.innerText ?? ""`, selector))
}

// Evaluate runs a JavaScript expression in the page and returns its value.
func Evaluate[T any](b *Tab, expression string) T {
	b.T.Helper()
	ctx, cancel := context.WithTimeout(b.Context, Patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.T.Errorf("evaluate %s: %v", expression, err)
	}
	return value
}
