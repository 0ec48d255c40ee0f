package relay

import (
	"encoding/json"
	"slices"

	"github.com/catenary-cable/catenary/protocol"
)

// subscription is one subscription with the app's own Action Cable.
type subscription struct {
	identifier string
	subscribe  []byte // the browser's command, to be repeated after a reconnect

	wanted       bool // the browser's last command was a subscribe
	queued       int  // commands for it in the queue
	held         bool // the last command written to the app was a subscribe
	confirmed    bool // and the app has confirmed it
	reconfirming bool // after a reconnect, the app owes a confirmation that the browser has already
}

// note notes a command on its subscription, which it returns; nil if the app need not see the
// command: a repeated subscribe, or a command without a subscription. The lock is held.
func (u *Upstream) note(command protocol.Command, text []byte) *subscription {
	s := u.subscriptions[command.Identifier]
	switch command.Kind {
	case protocol.Subscribe:
		if s == nil {
			admitted := u.browser.Admit(len(text))
			if !admitted {
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
		s.wanted = true
		s.subscribe = text
	case protocol.Unsubscribe:
		if s == nil || !s.wanted {
			return nil
		}
		s.wanted = false
	}
	return s
}

// Subscriptions returns their number, and the bytes kept to subscribe again. The lock is held.
func (u *Upstream) Subscriptions() (count, bytes int) {
	if u == nil {
		return 0, 0
	}
	for _, s := range u.order {
		bytes += len(s.subscribe)
	}
	return len(u.order), bytes
}

// sending notes that a command is about to be written to the app. The lock is held.
func (u *Upstream) sending(s *subscription, kind protocol.Kind) {
	s.queued--
	switch kind {
	case protocol.Subscribe:
		s.held = true
		s.confirmed = false
	case protocol.Unsubscribe:
		s.held = false
		s.confirmed = false
		u.forgetIfIdle(s)
	}
}

// forgetIfIdle drops a subscription that neither the browser wants nor the app holds.
func (u *Upstream) forgetIfIdle(s *subscription) {
	if s.queued == 0 && !s.wanted && !s.held {
		delete(u.subscriptions, s.identifier)
		u.order = slices.DeleteFunc(u.order, func(other *subscription) bool { return other == s })
	}
}

// needed reports whether there is anything to relay. The lock is held.
func (u *Upstream) needed() bool {
	return len(u.queue) > 0 || slices.ContainsFunc(u.order, func(s *subscription) bool { return s.held })
}

// receive handles a message of the app about the channels that are passed through. It drops the
// app's welcome and pings, since the browser gets ours.
func (u *Upstream) receive(text []byte) {
	var message struct {
		Type       any
		Identifier *string
	}
	if json.Unmarshal(text, &message) != nil {
		return
	}
	if message.Type == "welcome" {
		u.resume()
		return
	}
	u.mu.Lock()
	if message.Type == "disconnect" && message.Identifier == nil {
		u.browser.Send(string(text))
		u.mu.Unlock()
		u.browser.End("app_closed", nil)
		return
	}
	defer u.mu.Unlock()
	if message.Identifier == nil {
		return
	}
	s := u.subscriptions[*message.Identifier]
	if s == nil || !s.held {
		return
	}
	switch message.Type {
	case "confirm_subscription":
		repeated := s.reconfirming
		s.confirmed = true
		u.answered(s)
		if repeated {
			return
		}
	case "reject_subscription":
		s.held = false
		s.confirmed = false
		if s.queued == 0 {
			s.wanted = false
		}
		u.answered(s)
		u.forgetIfIdle(s)
	}
	u.browser.Send(string(text))
}

// resume subscribes on a new WebSocket to all that the app held on the last one. Because Rails runs
// commands concurrently, messages of the browser wait until the app has confirmed again.
func (u *Upstream) resume() {
	u.mu.Lock()
	ws := u.ws
	var subscribes [][]byte
	for _, s := range u.order {
		s.reconfirming = s.held && s.confirmed
		if s.reconfirming {
			u.unconfirmed++
		}
		if s.held {
			subscribes = append(subscribes, s.subscribe)
		}
	}
	u.mu.Unlock()
	for _, subscribe := range subscribes {
		err := write(ws, subscribe)
		if err != nil {
			return
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.makeReady()
}

// answered notes the app's answer to a subscribe. The lock is held.
func (u *Upstream) answered(s *subscription) {
	if s.reconfirming {
		s.reconfirming = false
		u.unconfirmed--
		u.makeReady()
	}
}

// makeReady starts to send the queue, if the app has confirmed everything again. The lock is held.
func (u *Upstream) makeReady() {
	if u.unconfirmed > 0 || u.ready || u.ws == nil || u.ended {
		return
	}
	u.ready = true
	u.clearDeadline()
	u.startFlush()
}

// rejectAll rejects all subscriptions of the browser. The lock is held.
func (u *Upstream) rejectAll() {
	for _, s := range u.order {
		if s.wanted {
			u.browser.Send(string(protocol.Reject(s.identifier)))
		}
	}
	for _, out := range u.queue {
		u.queued -= len(out.text)
	}
	clear(u.subscriptions)
	u.order = nil
	u.queue = nil
	u.clearDeadline()
	u.space.Signal()
}
