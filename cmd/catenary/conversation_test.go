package main

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A conversation plays the steps of one transcript against one server.
type conversation struct {
	world    *world
	browsers map[string]*browser
	last     time.Time // when the last step was done, or what it waited for came
}

const (
	patience = 6 * time.Second        // how long a step waits for what must come
	silence  = 500 * time.Millisecond // how long nothing must come to count as quiet
)

func (c *conversation) play(t *testing.T, steps []step) {
	defer func() {
		for _, b := range c.browsers {
			b.close()
		}
	}()
	c.last = time.Now()
	for len(steps) > 0 {
		group := 1
		for steps[0].order == '~' && group < len(steps) && sameGroup(steps[0], steps[group]) {
			group++
		}
		if err := c.take(steps[:group]); err != nil {
			t.Fatalf("line %d: %s> %s\n%v\nthe server wrote at last:\n%s", steps[0].line, steps[0].speaker, short(steps[0].text), err, c.world.server().output.tail())
		}
		if steps[0].speaker != "server" {
			c.last = time.Now()
		}
		steps = steps[group:]
	}
	for name, b := range c.browsers {
		if e, ok := nextFrame(b, 0); ok && e.kind != "end" {
			t.Fatalf("at the end the server had said something more to browser %q: %s", name, short(e.String()))
		}
	}
}

func sameGroup(a, b step) bool {
	return b.order == '~' && a.speaker == b.speaker && a.name == b.name
}

func (c *conversation) take(group []step) error {
	s := group[0]
	switch s.speaker {
	case "wait":
		time.Sleep(s.after)
		return nil
	case "browser":
		return c.browserDoes(s)
	case "redis":
		return c.world.redis.do(s.text)
	case "app":
		return c.world.ask(s)
	case "operator":
		return c.world.operate(s.text)
	}
	b := c.browsers[s.name]
	if b == nil {
		return fmt.Errorf("browser %q has not connected", s.name)
	}
	if s.order == '~' {
		return expectInAnyOrder(b, group)
	}
	return c.expect(b, s)
}

// browserDoes is everything that can stand behind "browser>".
func (c *conversation) browserDoes(s step) error {
	if request := regexp.MustCompile(`^([A-Z]+) (/\S*)$`).FindStringSubmatch(s.text); request != nil {
		b, err := dial(c.world.address, c.world.handshake(request[1], request[2], s.more))
		if err == nil {
			c.browsers[s.name] = b
		}
		return err
	}
	b := c.browsers[s.name]
	if b == nil {
		return fmt.Errorf("browser %q has not connected", s.name)
	}
	verb, argument := action(s.text)
	switch verb {
	case "text":
		return b.send(argument)
	case "binary":
		return b.write(opBinary, []byte(argument))
	case "ping":
		return b.write(opPing, []byte(argument))
	case "pong":
		return b.write(opPong, []byte(argument))
	case "raw":
		bytes, err := hex.DecodeString(strings.ReplaceAll(argument, " ", ""))
		if err != nil {
			return err
		}
		return b.writeRaw(bytes)
	case "fragment": // the first part of a text message
		return b.writeRaw(maskedFrame(opText, []byte(argument)))
	case "last fragment":
		return b.writeRaw(maskedFrame(0x80, []byte(argument)))
	case "batch": // several text frames in one TCP segment
		var bytes []byte
		for _, text := range s.more {
			bytes = append(bytes, maskedFrame(0x80|opText, []byte(text))...)
		}
		return b.writeRaw(bytes)
	case "close":
		if argument == "" {
			return b.write(opClose, nil)
		}
		code, reason, _ := strings.Cut(argument, " ")
		n, err := strconv.Atoi(code)
		if err != nil {
			return err
		}
		return b.write(opClose, closePayload(n, reason))
	case "vanishes":
		b.close()
		return nil
	case "deaf":
		b.deaf = true
		return nil
	}
	return b.send(grow(s.text))
}

// handshake writes the request of a browser's handshake as every Action Cable client makes it, with the changes that
// the transcript names: "Name: value", or "Name: (none)" to leave a header out.
func handshake(method, path, host string, changes []string) string {
	headers := [][2]string{
		{"Host", host},
		{"Connection", "Upgrade"},
		{"Upgrade", "websocket"},
		{"Sec-WebSocket-Version", "13"},
		{"Sec-WebSocket-Key", webSocketKey},
		{"Sec-WebSocket-Protocol", "actioncable-v1-json, actioncable-unsupported"},
		{"Origin", "http://" + host},
	}
	for _, change := range changes {
		name, value, _ := strings.Cut(change, ": ")
		value = strings.ReplaceAll(value, "<host>", host)
		known := false
		for i := range headers {
			if headers[i][0] == name {
				headers[i][1], known = value, true
			}
		}
		if !known {
			headers = append(headers, [2]string{name, value})
		}
	}
	var request strings.Builder
	fmt.Fprintf(&request, "%s %s HTTP/1.1\r\n", method, path)
	for _, header := range headers {
		if header[1] != "(none)" {
			fmt.Fprintf(&request, "%s: %s\r\n", header[0], header[1])
		}
	}
	if method == "POST" {
		request.WriteString("Content-Length: 0\r\n")
	}
	return request.String() + "\r\n"
}

// action splits `(verb argument)`; a quoted argument is a Go string. Anything else has no verb.
func action(text string) (verb, argument string) {
	m := regexp.MustCompile(`^\(([a-z ]+?)(?: ("(?:[^"\\]|\\.)*"|[0-9].*|[0-9a-f]{2}(?: .*)?))?\)$`).FindStringSubmatch(text)
	if m == nil {
		return "", ""
	}
	if argument, err := strconv.Unquote(m[2]); err == nil {
		return m[1], argument
	}
	return m[1], m[2]
}

var growth = regexp.MustCompile(`<(.)\*(\d+)>`)

// grow writes out <x*1000>.
func grow(text string) string {
	return growth.ReplaceAllStringFunc(text, func(found string) string {
		m := growth.FindStringSubmatch(found)
		n, _ := strconv.Atoi(m[2])
		return strings.Repeat(m[1], n)
	})
}

func short(text string) string {
	if len(text) > 400 {
		return fmt.Sprintf("%s… (%d bytes)", text[:400], len(text))
	}
	return text
}
