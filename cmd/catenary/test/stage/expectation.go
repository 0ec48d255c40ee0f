package stage

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// expect runs a "server>" step.
func (c *Conversation) expect(b *Browser, s Step) error {
	if status := regexp.MustCompile(`^(\d{3})(?: (.*))?$`).FindStringSubmatch(s.Text); status != nil {
		return expectStatus(b, status[1], status[2])
	}
	if header := regexp.MustCompile(`^([A-Z][A-Za-z-]+): (.*)$`).FindStringSubmatch(s.Text); header != nil {
		return expectHeader(b, header[1], header[2])
	}
	if b.Response.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("the handshake was answered with %s", b.Response.Status)
	}
	if verb, length := Action(s.Text); verb == "quiet" {
		return c.expectQuiet(b, length)
	}
	return c.expectEvent(b, s)
}

func expectStatus(b *Browser, status, body string) error {
	if got := strconv.Itoa(b.Response.StatusCode); got != status {
		return fmt.Errorf("got %s", b.Response.Status)
	}
	if status == "101" && b.Response.Header.Get("Sec-WebSocket-Accept") != webSocketAccept(b.key) {
		return fmt.Errorf("wrong Sec-WebSocket-Accept %q", b.Response.Header.Get("Sec-WebSocket-Accept"))
	}
	if body != "" && b.Body != body {
		return fmt.Errorf("got the body %q", b.Body)
	}
	return nil
}

func expectHeader(b *Browser, name, want string) error {
	got := strings.Join(b.Response.Header.Values(name), ", ")
	if got == "" {
		got = "(none)"
	}
	if got != want {
		return fmt.Errorf("got %s: %s", name, got)
	}
	return nil
}

// expectQuiet expects nothing before the answer to a further command; or, with a length, nothing at
// all for that long, not even optional lines.
func (c *Conversation) expectQuiet(b *Browser, length string) error {
	if length == "" {
		events, err := b.Fence()
		for _, e := range events {
			if !b.takeOptional(e) {
				return fmt.Errorf("got %s", Short(e.String()))
			}
		}
		return err
	}
	pause, err := time.ParseDuration(length)
	if err != nil {
		return err
	}
	time.Sleep(pause)
	if e, ok := b.Poll(); ok {
		return fmt.Errorf("got %s", Short(e.String()))
	}
	return nil
}

func (c *Conversation) expectEvent(b *Browser, s Step) error {
	if s.order == '?' {
		b.optional = append(b.optional, s.Text)
		return nil
	}
	next := nextExpected
	if strings.Contains(s.Text, `"ping"`) {
		next = (*Browser).Next
	}
	e, ok := next(b)
	if !ok {
		return fmt.Errorf("got nothing for %v", Patience)
	}
	if err := b.matches(s.Text, e); err != nil {
		return err
	}
	if waited := e.At.Sub(b.dialled); waited < s.After {
		return fmt.Errorf("came too early, %v after the handshake", waited)
	}
	return nil
}

func expectInAnyOrder(b *Browser, group []Step) error {
	missing := append([]Step(nil), group...)
	for len(missing) > 0 {
		e, ok := nextExpected(b)
		if !ok {
			return fmt.Errorf("%d of %d are missing, the first is line %d: %s", len(missing), len(group), missing[0].Line, Short(missing[0].Text))
		}
		found := -1
		for i, s := range missing {
			if b.matches(s.Text, e) == nil {
				found = i
				break
			}
		}
		if found < 0 {
			return fmt.Errorf("got %s", Short(e.String()))
		}
		missing = append(missing[:found], missing[found+1:]...)
	}
	return nil
}

// nextExpected returns the next event that is not an optional line.
func nextExpected(b *Browser) (Event, bool) {
	for {
		e, ok := NextFrame(b)
		if !ok || !b.takeOptional(e) {
			return e, ok
		}
	}
}

// takeOptional reports whether the event is an optional line that has not come yet, and removes it.
func (b *Browser) takeOptional(e Event) bool {
	for i, text := range b.optional {
		if b.matches(text, e) == nil {
			b.optional = append(b.optional[:i:i], b.optional[i+1:]...)
			return true
		}
	}
	return false
}

// matches compares an event with an expected line. The line is the text of a frame, in which <now>
// stands for a Unix time in seconds between the handshake and now; or (close 1000 "reason"),
// (close 1002 ...) for any reason, (pong "payload"), or (end) for the end of TCP.
func (b *Browser) matches(want string, e Event) error {
	got := fmt.Errorf("got %s", Short(e.String()))
	if verb, argument := Action(want); verb != "" {
		if verb == "close" && strings.HasSuffix(argument, " ...") {
			argument = strings.TrimSuffix(argument, " ...")
			e.Text, _, _ = strings.Cut(e.Text, " ")
		}
		if e.Kind != verb || e.Text != argument {
			return got
		}
		return nil
	}
	if e.Kind != "text" {
		return got
	}
	if before, after, ok := strings.Cut(want, "<now>"); ok {
		digits := strings.TrimSuffix(strings.TrimPrefix(e.Text, before), after)
		seconds, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || seconds < b.dialled.Unix() || seconds > e.At.Unix() {
			return got
		}
		return nil
	}
	if e.Text != Grow(want) {
		return got
	}
	return nil
}
