package main

import (
	"context"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// chromium starts a headless Chromium with nothing but what it needs, and a profile of its own.
func chromium(t *testing.T) context.Context {
	if _, err := exec.LookPath("chromium"); err != nil {
		t.Fatal("chromium is missing: run script/install browser")
	}
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

// A tab is one page of one user.
type tab struct {
	t   *testing.T
	ctx context.Context
}

// newUser is a tab in a private window: its cookies are its own.
func newUser(t *testing.T, chromium context.Context) *tab {
	return openTab(t, chromium, chromedp.WithNewBrowserContext())
}

// another is a second tab of the same user.
func (b *tab) another() *tab {
	return openTab(b.t, b.ctx) // in the window of the first
}

func openTab(t *testing.T, parent context.Context, options ...chromedp.ContextOption) *tab {
	ctx, cancel := chromedp.NewContext(parent, options...)
	t.Cleanup(cancel)
	b := &tab{t, ctx}
	if err := chromedp.Do(ctx); err != nil { // the first run makes it, for as long as ctx lives
		t.Fatalf("open a tab: %v", err)
	}
	return b
}

// in is the same tab, which fails this part of the test.
func (b *tab) in(t *testing.T) *tab { return &tab{t, b.ctx} }

// patienceOfUsers is longer than the npm client takes to notice that it must connect again.
const patienceOfUsers = 40 * time.Second

// do is what a user does.
func (b *tab) do(what string, action chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patienceOfUsers)
	defer cancel()
	if err := chromedp.Do(ctx, action); err != nil {
		b.t.Fatalf("%s: %v; the page shows\n%s", what, err, b.text("body"))
	}
}

func (b *tab) open(url string) {
	b.t.Helper()
	b.do("open "+url, chromedp.Navigate(url))
}

func (b *tab) click(selector string) {
	b.t.Helper()
	b.do("click "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// write types text into a field, key by key.
func (b *tab) write(selector, text string) {
	b.t.Helper()
	b.do("write into "+selector, chromedp.SendKeys(chromedp.CSS(selector), text))
}

// expect waits until the page has an element.
func (b *tab) expect(selector string) {
	b.t.Helper()
	b.expectThat(selector, fmt.Sprintf("document.querySelector(%q) !== null", selector))
}

// expectText waits until an element of the page has exactly this text.
func (b *tab) expectText(selector, text string) {
	b.t.Helper()
	b.expectThat(selector+" with "+text,
		fmt.Sprintf("[...document.querySelectorAll(%q)].some(element => element.textContent.trim() === %q)", selector, text))
}

func (b *tab) expectThat(what, condition string) {
	b.t.Helper()
	for deadline := time.Now().Add(patienceOfUsers); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		// A page that is just being left has no document to ask.
		if true, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](condition)); err == nil && true {
			return
		}
	}
	b.t.Fatalf("expect %s: not within %v; the page shows\n%s", what, patienceOfUsers, b.text("body"))
}

// text is what an element shows, "" without one.
func (b *tab) text(selector string) string {
	return evaluate[string](b, fmt.Sprintf(`document.querySelector(%q)?.innerText ?? ""`, selector))
}

// evaluate asks the page.
func evaluate[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Errorf("evaluate %s: %v", expression, err)
	}
	return value
}
