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

// StartChromium starts a headless Chromium with nothing but what it needs, and a profile of its own.
func StartChromium(t *testing.T) context.Context {
	if _, err := exec.LookPath("chromium"); err != nil {
		t.Fatal("chromium is missing: run script/install browser")
	}
	t.Cleanup(takeTurn("chromium", chromiumsAtOnce))
	allocator, cancel := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath("chromium"), chromedp.UserDataDir(t.TempDir()),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		chromedp.Cancel(ctx) // waits for its end, so that its profile can be removed
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

// NewUser is a tab in a private window: its cookies are its own.
func NewUser(t *testing.T, chromium context.Context) *Tab {
	return openTab(t, chromium, chromedp.WithNewBrowserContext())
}

// Another is a second tab of the same user.
func (b *Tab) Another() *Tab {
	return openTab(b.T, b.Context) // in the window of the first
}

func openTab(t *testing.T, parent context.Context, options ...chromedp.ContextOption) *Tab {
	ctx, cancel := chromedp.NewContext(parent, options...)
	t.Cleanup(cancel)
	b := &Tab{t, ctx}
	if err := chromedp.Do(ctx); err != nil { // the first run makes it, for as long as ctx lives
		t.Fatalf("open a tab: %v", err)
	}
	return b
}

// In is the same tab, which fails this part of the test.
func (b *Tab) In(t *testing.T) *Tab { return &Tab{t, b.Context} }

// Do is what a user does.
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

// BeforeEachPage has a script run in every page that is opened from now on, before its own.
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

// Paste puts a text into a field at once, as from the clipboard.
func (b *Tab) Paste(selector, text string) {
	b.T.Helper()
	b.Click(selector)
	if !Evaluate[bool](b, fmt.Sprintf(`document.execCommand("insertText", false, %q)`, text)) {
		b.T.Fatalf("%s takes no text", selector)
	}
}

// Expect waits until the page has an element.
func (b *Tab) Expect(selector string) {
	b.T.Helper()
	b.ExpectThat(selector, fmt.Sprintf("document.querySelector(%q) !== null", selector))
}

// ExpectText waits until an element of the page has exactly this text.
func (b *Tab) ExpectText(selector, text string) {
	b.T.Helper()
	b.ExpectThat(selector+" with "+text,
		fmt.Sprintf("[...document.querySelectorAll(%q)].some(element => element.textContent.trim() === %q)", selector, text))
}

// ExpectThat waits until a JavaScript condition holds.
func (b *Tab) ExpectThat(what, condition string) {
	b.T.Helper()
	for deadline := time.Now().Add(Patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		// A page that is just being left has no document to ask.
		if true, err := chromedp.Run(b.Context, chromedp.Evaluate[bool](condition)); err == nil && true {
			return
		}
	}
	b.T.Fatalf("expect %s: not within %v; the page shows\n%s", what, Patience, b.Text("body"))
}

// Text is what an element shows, "" without one.
func (b *Tab) Text(selector string) string {
	return Evaluate[string](b, fmt.Sprintf(`document.querySelector(%q)?.innerText ?? ""`, selector))
}

// Evaluate asks the page.
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
