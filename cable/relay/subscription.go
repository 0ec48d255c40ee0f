package relay

import (
	"encoding/json"
	"slices"

	"github.com/catenary-cable/catenary/protocol"
)

// subscription is one that the app's own Action Cable holds.
type subscription struct {
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
func (u *Upstream) ask(command protocol.Command, text []byte) *subscription {
	s := u.subscriptions[command.Identifier]
	switch command.Kind {
	case protocol.Subscribe:
		if s == nil {
			if !u.browser.Admit(len(text)) {
				u.browser.Send(string(protocol.Reject(command.Identifier)))
				return nil
			}
			s = &subscription{identifier: command.Identifier}
			u.subscriptions[s.identifier] = s
			u.order = append(u.order, s)
		}
		if s.wanted {
			u.relay.repeated.Add(1)
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

// Subscriptions returns how many there are, and the bytes that are kept in order
// to subscribe again. The lock is held.
func (u *Upstream) Subscriptions() (count, bytes int) {
	if u == nil {
		return 0, 0
	}
	for _, s := range u.order {
		bytes += len(s.subscribe)
	}
	return len(u.order), bytes
}

// written notes a command that goes out to the app.
func (u *Upstream) written(s *subscription, kind protocol.Kind) {
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
func (u *Upstream) forget(s *subscription) {
	if s.queued == 0 && !s.wanted && !s.held {
		delete(u.subscriptions, s.identifier)
		u.order = slices.DeleteFunc(u.order, func(other *subscription) bool { return other == s })
	}
}

// wanted reports whether an upstream is needed at all.
func (u *Upstream) wanted() bool {
	return len(u.queue) > 0 || slices.ContainsFunc(u.order, func(s *subscription) bool { return s.held })
}

// take does what the app says of the channels that are passed through. Its
// welcome and its pings are not for the browser, which has got ours.
func (u *Upstream) take(text []byte) {
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
	u.mu.Lock()
	if said.Type == "disconnect" && said.Identifier == nil {
		u.browser.Send(string(text))
		u.mu.Unlock()
		u.browser.End("app_closed", nil)
		return
	}
	defer u.mu.Unlock()
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
		u.answered(s)
		if awaited {
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
	u.browser.Send(string(text))
}

// resume brings a new upstream to where the last one was: it subscribes to all
// that the app held. What the browser has said since then waits until the
// subscriptions stand, because Rails runs commands side by side.
func (u *Upstream) resume() {
	u.mu.Lock()
	ws, again := u.ws, [][]byte(nil)
	for _, s := range u.order {
		s.awaited = s.held && s.confirmed
		if s.awaited {
			u.awaited++
		}
		if s.held {
			again = append(again, s.subscribe)
		}
	}
	u.mu.Unlock()
	for _, subscribe := range again {
		if write(ws, subscribe) != nil {
			return
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.makeReady()
}

// answered notes the app's answer to a subscribe.
func (u *Upstream) answered(s *subscription) {
	if s.awaited {
		s.awaited = false
		u.awaited--
		u.makeReady()
	}
}

// makeReady lets the queue go out, once the app owes nothing.
func (u *Upstream) makeReady() {
	if u.awaited > 0 || u.ready || u.ws == nil || u.ended {
		return
	}
	u.ready = true
	u.stopHurry()
	u.startFlush()
}

// reject tells the browser that the app does not have what it asked for.
func (u *Upstream) reject() {
	for _, s := range u.order {
		if s.wanted {
			u.browser.Send(string(protocol.Reject(s.identifier)))
		}
	}
	for _, out := range u.queue {
		u.queued -= len(out.text)
	}
	clear(u.subscriptions)
	u.order, u.queue = nil, nil
	u.stopHurry()
	u.space.Signal()
}
