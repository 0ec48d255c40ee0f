package cable

import (
	"encoding/json"
	"slices"

	"github.com/catenary-cable/catenary/protocol"
)

// relayed is a subscription that the app's own Action Cable holds.
type relayed struct {
	identifier string
	subscribe  []byte // as the browser wrote it, to be repeated after a loss

	wanted    bool // the browser's last command was a subscribe
	queued    int  // commands about it that wait in the queue
	held      bool // the subscribe was written to the app, and no unsubscribe after it
	confirmed bool // and the browser knows that it stands
	awaited   bool // the app owes a second confirmation, which is not for the browser
}

// ask notes a command when it arrives. It returns nil if the app need not see it:
// a repeated subscribe, or what is about no subscription.
func (u *upstream) ask(command protocol.Command, text []byte) *relayed {
	c := u.connection
	s := u.subscriptions[command.Identifier]
	switch command.Kind {
	case protocol.Subscribe:
		if s == nil {
			if !c.admits(len(text)) {
				c.write(string(protocol.Reject(command.Identifier)))
				return nil
			}
			s = &relayed{identifier: command.Identifier}
			u.subscriptions[s.identifier] = s
			u.order = append(u.order, s)
		}
		if s.wanted {
			c.server.count.repeated.Add(1)
			return nil
		}
		s.wanted, s.subscribe = true, text
	case protocol.Unsubscribe:
		if s == nil || !s.wanted {
			return nil
		}
		s.wanted = false
	}
	return s
}

// bytes are what is kept in order to subscribe again.
func (u *upstream) bytes() (sum int) {
	for _, s := range u.order {
		sum += len(s.subscribe)
	}
	return sum
}

// written notes a command that goes out to the app.
func (u *upstream) written(s *relayed, kind protocol.Kind) {
	s.queued--
	switch kind {
	case protocol.Subscribe:
		s.held, s.confirmed = true, false
	case protocol.Unsubscribe:
		s.held, s.confirmed = false, false
		u.forget(s)
	}
}

// forget drops a subscription of which nothing is left to be said.
func (u *upstream) forget(s *relayed) {
	if s.queued == 0 && !s.wanted && !s.held {
		delete(u.subscriptions, s.identifier)
		u.order = slices.DeleteFunc(u.order, func(other *relayed) bool { return other == s })
	}
}

// wanted tells whether an upstream is needed at all.
func (u *upstream) wanted() bool {
	return len(u.queue) > 0 || slices.ContainsFunc(u.order, func(s *relayed) bool { return s.held })
}

// take does what the app says of the channels that are passed through. Its
// welcome and its pings are not for the browser, which has got ours.
func (u *upstream) take(text []byte) {
	var said struct {
		Type       any
		Identifier *string
	}
	if json.Unmarshal(text, &said) != nil {
		return
	}
	if said.Type == "welcome" {
		u.resume()
		return
	}
	c := u.connection
	c.mu.Lock()
	if said.Type == "disconnect" && said.Identifier == nil {
		c.write(string(text))
		c.mu.Unlock()
		c.end("app_closed", nil)
		return
	}
	defer c.mu.Unlock()
	if said.Identifier == nil {
		return
	}
	s := u.subscriptions[*said.Identifier]
	if s == nil || !s.held {
		return
	}
	switch awaited := s.awaited; said.Type {
	case "confirm_subscription":
		s.confirmed = true
		if u.answered(s); awaited {
			return
		}
	case "reject_subscription":
		s.held, s.confirmed = false, false
		if s.queued == 0 {
			s.wanted = false
		}
		u.answered(s)
		u.forget(s)
	}
	c.write(string(text))
}

// resume brings a new upstream to where the last one was: it subscribes to all
// that the app held. What the browser has said since then waits until the
// subscriptions stand, because Rails runs commands side by side.
func (u *upstream) resume() {
	c := u.connection
	c.mu.Lock()
	ws, again := u.ws, [][]byte(nil)
	for _, s := range u.order {
		if s.awaited = s.held && s.confirmed; s.awaited {
			u.awaited++
		}
		if s.held {
			again = append(again, s.subscribe)
		}
	}
	c.mu.Unlock()
	for _, subscribe := range again {
		if write(ws, subscribe) != nil {
			return
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	u.makeReady()
}

// answered notes the app's answer to a subscribe.
func (u *upstream) answered(s *relayed) {
	if s.awaited {
		s.awaited = false
		u.awaited--
		u.makeReady()
	}
}

// makeReady lets the queue go out, once the app owes nothing.
func (u *upstream) makeReady() {
	if u.awaited > 0 || u.ready || u.ws == nil || u.connection.ended {
		return
	}
	u.ready = true
	u.calm()
	u.startFlush()
}

// reject tells the browser that the app does not have what it asked for.
func (u *upstream) reject() {
	for _, s := range u.order {
		if s.wanted {
			u.connection.write(string(protocol.Reject(s.identifier)))
		}
	}
	for _, out := range u.queue {
		u.queued -= len(out.text)
	}
	clear(u.subscriptions)
	u.order, u.queue = nil, nil
	u.calm()
	u.connection.room.make()
}
