package stage

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// expect is everything that can stand behind "server>".
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
		return expectQuiet(b, length)
	}
	return c.expectEvent(b, s)
}

func expectStatus(b *Browser, status, body string) error {
	if got := strconv.Itoa(b.Response.StatusCode); got != status {
		return fmt.Errorf("got %s", b.Response.Status)
	}
	if status == "101" && b.Response.Header.Get("Sec-WebSocket-Accept") != webSocketAccept() {
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

func expectQuiet(b *Browser, length string) error {
	pause := Silence
	if length != "" {
		var err error
		if pause, err = time.ParseDuration(length); err != nil {
			return err
		}
	}
	if e, ok := NextFrame(b, pause); ok {
		return fmt.Errorf("got %s", Short(e.String()))
	}
	return nil
}

func (c *Conversation) expectEvent(b *Browser, s Step) error {
	timeout := Patience
	if s.within > 0 {
		timeout = s.within
	} else if s.order == '?' {
		timeout = time.Second
	}
	next := NextFrame
	if strings.Contains(s.Text, `"ping"`) {
		next = nextPing
	}
	e, ok := next(b, timeout)
	if !ok {
		if s.order == '?' {
			return nil
		}
		return fmt.Errorf("got nothing for %v", timeout)
	}
	if err := matches(s.Text, e); err != nil {
		if s.order == '?' {
			b.kept, err = &e, nil
		}
		return err
	}
	waited := e.At.Sub(c.Last)
	c.Last = e.At
	if s.After > 0 && waited < s.After {
		return fmt.Errorf("came after %v already", waited)
	}
	return nil
}

func expectInAnyOrder(b *Browser, group []Step) error {
	missing := append([]Step(nil), group...)
	for len(missing) > 0 {
		e, ok := NextFrame(b, Patience)
		if !ok {
			return fmt.Errorf("%d of %d are missing, the first is of line %d: %s", len(missing), len(group), missing[0].Line, Short(missing[0].Text))
		}
		found := -1
		for i, s := range missing {
			if matches(s.Text, e) == nil {
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

// matches compares what came with an expected line: a frame byte for byte, except that <now> stands for the Unix time
// in seconds; or (close 1000 "reason"), (close 1002 ...) for any reason, (pong "payload"), (end) for the end of TCP.
func matches(want string, e Event) error {
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
		if off := e.At.Unix() - seconds; err != nil || off < -2 || off > 2 {
			return got
		}
		return nil
	}
	if e.Text != Grow(want) {
		return got
	}
	return nil
}

func nextPing(b *Browser, timeout time.Duration) (Event, bool) { return b.Next(timeout) }
