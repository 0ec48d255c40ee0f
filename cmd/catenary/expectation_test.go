package main

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// expect is everything that can stand behind "server>".
func (c *conversation) expect(b *browser, s step) error {
	if status := regexp.MustCompile(`^(\d{3})(?: (.*))?$`).FindStringSubmatch(s.text); status != nil {
		return expectStatus(b, status[1], status[2])
	}
	if header := regexp.MustCompile(`^([A-Z][A-Za-z-]+): (.*)$`).FindStringSubmatch(s.text); header != nil {
		return expectHeader(b, header[1], header[2])
	}
	if b.response.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("the handshake was answered with %s", b.response.Status)
	}
	if verb, length := action(s.text); verb == "quiet" {
		return expectQuiet(b, length)
	}
	return c.expectEvent(b, s)
}

func expectStatus(b *browser, status, body string) error {
	if got := strconv.Itoa(b.response.StatusCode); got != status {
		return fmt.Errorf("got %s", b.response.Status)
	}
	if status == "101" && b.response.Header.Get("Sec-WebSocket-Accept") != webSocketAccept() {
		return fmt.Errorf("wrong Sec-WebSocket-Accept %q", b.response.Header.Get("Sec-WebSocket-Accept"))
	}
	if body != "" && b.body != body {
		return fmt.Errorf("got the body %q", b.body)
	}
	return nil
}

func expectHeader(b *browser, name, want string) error {
	got := strings.Join(b.response.Header.Values(name), ", ")
	if got == "" {
		got = "(none)"
	}
	if got != want {
		return fmt.Errorf("got %s: %s", name, got)
	}
	return nil
}

func expectQuiet(b *browser, length string) error {
	pause := silence
	if length != "" {
		var err error
		if pause, err = time.ParseDuration(length); err != nil {
			return err
		}
	}
	if e, ok := nextFrame(b, pause); ok {
		return fmt.Errorf("got %s", short(e.String()))
	}
	return nil
}

func (c *conversation) expectEvent(b *browser, s step) error {
	timeout := patience
	if s.within > 0 {
		timeout = s.within
	} else if s.order == '?' {
		timeout = time.Second
	}
	next := nextFrame
	if strings.Contains(s.text, `"ping"`) {
		next = nextPing
	}
	e, ok := next(b, timeout)
	if !ok {
		if s.order == '?' {
			return nil
		}
		return fmt.Errorf("got nothing for %v", timeout)
	}
	if err := matches(s.text, e); err != nil {
		if s.order == '?' {
			b.kept, err = &e, nil
		}
		return err
	}
	waited := e.at.Sub(c.last)
	c.last = e.at
	if s.after > 0 && waited < s.after {
		return fmt.Errorf("came after %v already", waited)
	}
	return nil
}

func expectInAnyOrder(b *browser, group []step) error {
	missing := append([]step(nil), group...)
	for len(missing) > 0 {
		e, ok := nextFrame(b, patience)
		if !ok {
			return fmt.Errorf("%d of %d are missing, the first is of line %d: %s", len(missing), len(group), missing[0].line, short(missing[0].text))
		}
		found := -1
		for i, s := range missing {
			if matches(s.text, e) == nil {
				found = i
				break
			}
		}
		if found < 0 {
			return fmt.Errorf("got %s", short(e.String()))
		}
		missing = append(missing[:found], missing[found+1:]...)
	}
	return nil
}

// matches compares what came with an expected line: a frame byte for byte, except that <now> stands for the Unix time
// in seconds; or (close 1000 "reason"), (close 1002 ...) for any reason, (pong "payload"), (end) for the end of TCP.
func matches(want string, e event) error {
	got := fmt.Errorf("got %s", short(e.String()))
	if verb, argument := action(want); verb != "" {
		if verb == "close" && strings.HasSuffix(argument, " ...") {
			argument = strings.TrimSuffix(argument, " ...")
			e.text, _, _ = strings.Cut(e.text, " ")
		}
		if e.kind != verb || e.text != argument {
			return got
		}
		return nil
	}
	if e.kind != "text" {
		return got
	}
	if before, after, ok := strings.Cut(want, "<now>"); ok {
		digits := strings.TrimSuffix(strings.TrimPrefix(e.text, before), after)
		seconds, err := strconv.ParseInt(digits, 10, 64)
		if off := e.at.Unix() - seconds; err != nil || off < -2 || off > 2 {
			return got
		}
		return nil
	}
	if e.text != grow(want) {
		return got
	}
	return nil
}

func isPing(e event) bool { return e.kind == "text" && strings.HasPrefix(e.text, `{"type":"ping"`) }

// nextFrame is the next thing that is no ping; nextPing the next ping, which nothing may precede.
func nextFrame(b *browser, timeout time.Duration) (event, bool) {
	deadline := time.Now().Add(timeout)
	for {
		e, ok := b.next(time.Until(deadline))
		if !ok || !isPing(e) {
			return e, ok
		}
	}
}

func nextPing(b *browser, timeout time.Duration) (event, bool) { return b.next(timeout) }
