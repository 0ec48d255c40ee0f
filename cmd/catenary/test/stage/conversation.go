package stage

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A Conversation plays the steps of one transcript against one server.
type Conversation struct {
	World    *World
	Browsers map[string]*Browser
}

// Play runs all steps. At the end, no browser may have received anything more.
func (c *Conversation) Play(t *testing.T, steps []Step) {
	defer func() {
		for _, b := range c.Browsers {
			b.Close()
		}
	}()
	for len(steps) > 0 {
		group := 1
		for steps[0].order == '~' && group < len(steps) && sameGroup(steps[0], steps[group]) {
			group++
		}
		if err := c.Take(steps[:group]); err != nil {
			t.Fatalf("line %d: %s> %s\n%v\nthe end of the server's output:\n%s", steps[0].Line, steps[0].Speaker, Short(steps[0].Text), err, c.World.server().Output.Tail())
		}
		steps = steps[group:]
	}
	for name, b := range c.Browsers {
		if e, ok := b.Poll(); ok && e.Kind != "end" && !b.takeOptional(e) {
			t.Fatalf("browser %q received more at the end: %s", name, Short(e.String()))
		}
	}
}

func sameGroup(a, b Step) bool {
	return b.order == '~' && a.Speaker == b.Speaker && a.name == b.name
}

// Take runs one step, or a group of steps in any order.
func (c *Conversation) Take(group []Step) error {
	s := group[0]
	switch s.Speaker {
	case "browser":
		return c.browserDoes(s)
	case "redis":
		return c.World.Redis.Do(s.Text)
	case "app":
		return c.World.ask(s)
	case "operator":
		return c.World.operate(s.Text)
	}
	b := c.Browsers[s.name]
	if b == nil {
		return fmt.Errorf("browser %q has not connected", s.name)
	}
	if s.order == '~' {
		return expectInAnyOrder(b, group)
	}
	return c.expect(b, s)
}

// browserDoes runs a "browser>" step.
func (c *Conversation) browserDoes(s Step) error {
	if request := regexp.MustCompile(`^([A-Z]+) (/\S*)$`).FindStringSubmatch(s.Text); request != nil {
		b, err := Dial(c.World.Address, c.World.Handshake(request[1], request[2], s.More))
		if err == nil {
			c.Browsers[s.name] = b
		}
		return err
	}
	b := c.Browsers[s.name]
	if b == nil {
		return fmt.Errorf("browser %q has not connected", s.name)
	}
	verb, argument := Action(s.Text)
	switch verb {
	case "text":
		return b.Send(argument)
	case "binary":
		return b.Write(OpBinary, []byte(argument))
	case "ping":
		return b.Write(OpPing, []byte(argument))
	case "pong":
		return b.Write(OpPong, []byte(argument))
	case "raw":
		bytes, err := hex.DecodeString(strings.ReplaceAll(argument, " ", ""))
		if err != nil {
			return err
		}
		return b.WriteRaw(bytes)
	case "fragment": // the first part of a text message
		return b.WriteRaw(MaskedFrame(OpText, []byte(argument)))
	case "last fragment":
		return b.WriteRaw(MaskedFrame(0x80, []byte(argument)))
	case "batch": // several text frames in one TCP segment
		var bytes []byte
		for _, text := range s.More {
			bytes = append(bytes, MaskedFrame(0x80|OpText, []byte(text))...)
		}
		return b.WriteRaw(bytes)
	case "close":
		if argument == "" {
			return b.Write(OpClose, nil)
		}
		code, reason, _ := strings.Cut(argument, " ")
		n, err := strconv.Atoi(code)
		if err != nil {
			return err
		}
		return b.Write(OpClose, ClosePayload(n, reason))
	case "vanishes":
		b.Close()
		return nil
	case "deaf":
		b.ignoresClose = true
		return nil
	}
	return b.Send(Grow(s.Text))
}

// Handshake returns a handshake request as every Action Cable client sends it, with changes as in
// transcripts: "Name: value", or "Name: (none)" to leave a header out.
func Handshake(method, path, host string, changes []string) string {
	headers := [][2]string{
		{"Host", host},
		{"Connection", "Upgrade"},
		{"Upgrade", "websocket"},
		{"Sec-WebSocket-Version", "13"},
		{"Sec-WebSocket-Key", WebSocketKey},
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

// Action splits `(verb argument)`; a quoted argument is a Go string. Any other text has no verb.
func Action(text string) (verb, argument string) {
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

// Grow expands <x*1000> to a thousand x.
func Grow(text string) string {
	return growth.ReplaceAllStringFunc(text, func(found string) string {
		m := growth.FindStringSubmatch(found)
		n, _ := strconv.Atoi(m[2])
		return strings.Repeat(m[1], n)
	})
}

// Short truncates a long text for failure messages.
func Short(text string) string {
	if len(text) > 400 {
		return fmt.Sprintf("%s… (%d bytes)", text[:400], len(text))
	}
	return text
}

// MustPlay plays transcript lines.
func (c *Conversation) MustPlay(t *testing.T, lines ...string) {
	t.Helper()
	for _, line := range lines {
		s, err := parseStep(line)
		if err == nil {
			err = c.Take([]Step{s})
		}
		if err != nil {
			t.Fatalf("%s\n%v", line, err)
		}
	}
}

// Command returns a command as browsers send it, without data if that is nil.
func Command(name, identifier string, data any) string {
	text, _ := json.Marshal(struct {
		Command    string `json:"command"`
		Identifier string `json:"identifier"`
		Data       any    `json:"data,omitempty"`
	}{name, identifier, data})
	return string(text)
}

const (
	Unauthorized = `{"type":"disconnect","reason":"unauthorized","reconnect":false}`
	Welcome      = `{"type":"welcome"}`
)

// Confirmation returns the frame that a server sends when a subscription is live.
func Confirmation(identifier string) string {
	return About(identifier, `"type":"confirm_subscription"`)
}

// About returns a frame for an identifier. rest are its other members.
func About(identifier, rest string) string {
	return `{"identifier":` + Quoted(identifier) + "," + rest + "}"
}

// Quoted returns a text as JSON.
func Quoted(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(quoted)
}

// MessageFor returns a frame with a message, which is JSON, for an identifier.
func MessageFor(identifier, message string) string {
	return About(identifier, `"message":`+message)
}
