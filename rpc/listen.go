package rpc

import (
	"context"
	"strconv"
)

// Listener is told which Rails processes can listen to broadcasts for us, and
// what they hear. Its methods must not block: everything that the process says
// waits for them. Those about one process are called one after the other.
type Listener interface {
	// Came tells of a process that can be asked; also of one that stays after
	// all.
	Came(p *Process)
	// Goes tells that a process will end, for which it waits a little until
	// Moved.
	Goes(p *Process)
	// Left tells that a process has ended.
	Left(p *Process)
	// Listening tells that what is broadcast on the stream from now on will be
	// heard. It answers every Listen once.
	Listening(p *Process, stream string)
	// Heard tells of a broadcast, in the order in which the process heard it.
	Heard(p *Process, stream string, payload []byte)
	// Missed tells that some may not have been heard.
	Missed(p *Process, why string)
}

// HearWith has a listener told, from Run on.
func (c *Client) HearWith(l Listener) { c.listener = l }

// namesPerFrame bounds one frame that asks for streams.
const namesPerFrame = 512

// Listen asks a process to listen to streams. If it has gone, nothing happens.
func (c *Client) Listen(p *Process, streams ...string) { c.ask(p, `{"listen":`, streams) }

// Unlisten asks a process to listen no more.
func (c *Client) Unlisten(p *Process, streams ...string) { c.ask(p, `{"unlisten":`, streams) }

func (c *Client) ask(p *Process, what string, streams []string) {
	for len(streams) > 0 {
		n := min(len(streams), namesPerFrame)
		c.say(p, string(append(appendTexts([]byte(what), streams[:n]), '}')))
		streams = streams[n:]
	}
}

// Publish has a process broadcast as the app would.
func (c *Client) Publish(p *Process, stream string, payload []byte) error {
	b := appendText([]byte(`{"publish":`), stream)
	b = appendText(append(b, `,"message":`...), string(payload))
	if !c.say(p, string(append(b, '}'))) {
		return ErrGone
	}
	return nil
}

// Broadcast has a process broadcast as the app would, and waits until it has. The
// error is Rails' own if it could not; ErrGone, or ctx's, if that is not known.
func (c *Client) Broadcast(ctx context.Context, p *Process, stream string, payload []byte) error {
	answer := make(chan error, 1)
	c.mu.Lock()
	if p.link == nil {
		c.mu.Unlock()
		return ErrGone
	}
	l := p.link
	l.published++
	number := l.published
	l.publishing[number] = answer
	b := appendText([]byte(`{"publish":`), stream)
	b = appendText(append(b, `,"message":`...), string(payload))
	b = strconv.AppendUint(append(b, `,"number":`...), number, 10)
	l.outbox = append(l.outbox, outgoing{text: string(append(b, '}'))})
	l.signal()
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(l.publishing, number)
		c.mu.Unlock()
	}()
	select {
	case err := <-answer:
		return err
	case <-l.ended:
		return ErrGone
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// PublishError is why Rails cannot broadcast.
type PublishError struct{ Reason string }

func (e *PublishError) Error() string { return "Rails cannot broadcast: " + e.Reason }

func (l *link) hasPublished(f *incoming) {
	var err error
	if f.failed != "" {
		err = &PublishError{f.failed}
	}
	l.client.mu.Lock()
	defer l.client.mu.Unlock()
	if answer := l.publishing[f.number]; answer != nil {
		answer <- err
		delete(l.publishing, f.number)
	}
}

// Moved tells a process that goes that others listen in its place.
func (c *Client) Moved(p *Process) { c.say(p, `{"moved":true}`) }

// say sends a frame of text, if there is a link still.
func (c *Client) say(p *Process, text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.link == nil {
		return false
	}
	p.link.outbox = append(p.link.outbox, outgoing{text: text})
	p.link.signal()
	return true
}

func (l *link) tellListener(f *incoming) {
	listener := l.client.listener
	if listener == nil {
		return
	}
	switch f.kind {
	case "going":
		switch f.going {
		case "began":
			listener.Goes(l.process)
		case "revoked":
			listener.Came(l.process)
		}
	case "listening":
		listener.Listening(l.process, f.text)
	case "broadcast":
		listener.Heard(l.process, f.text, []byte(f.payload))
	case "missed":
		listener.Missed(l.process, f.text)
	}
}
