package rpc

import (
	"context"
	"strconv"
)

// Broadcasts over links (docs/rpc.md, "Broadcasts"): Rails processes listen to streams and publish
// for catenary.

// Listener learns which Rails processes can listen to broadcasts, and receives those broadcasts. Its
// methods must not block: they run on the reader of the process' link. Those about one process are
// called one after the other.
type Listener interface {
	// ProcessReady reports a process that can listen: a new one, or one that stays after all. A new one
	// gets no calls before Client.Start.
	ProcessReady(p *Process)
	// ProcessStopping reports a process that is about to stop. The process waits up to eleven seconds
	// for Client.Moved.
	ProcessStopping(p *Process)
	// ProcessGone reports that the link to a process has closed.
	ProcessGone(p *Process)
	// Listening answers each Listen once: the process receives all later broadcasts of the stream.
	Listening(p *Process, stream string)
	// Received hands over a broadcast, in the order in which the process received it.
	Received(p *Process, stream string, payload []byte)
	// Missed reports that the process may have missed broadcasts.
	Missed(p *Process, reason string)
}

// SetListener sets the receiver of broadcasts. Call it before Run.
func (c *Client) SetListener(l Listener) { c.listener = l }

// namesPerFrame is the most streams that one listen or unlisten frame names.
const namesPerFrame = 512

// Listen asks a process to listen to streams. It does nothing if the process is gone.
func (c *Client) Listen(p *Process, streams ...string) { c.sendStreams(p, `{"listen":`, streams) }

// Unlisten asks a process to stop listening to streams.
func (c *Client) Unlisten(p *Process, streams ...string) { c.sendStreams(p, `{"unlisten":`, streams) }

func (c *Client) sendStreams(p *Process, start string, streams []string) {
	for len(streams) > 0 {
		n := min(len(streams), namesPerFrame)
		c.sendTo(p, string(append(appendTexts([]byte(start), streams[:n]), '}')))
		streams = streams[n:]
	}
}

// Moved notifies a stopping process that others listen in its place, or that none can.
func (c *Client) Moved(p *Process) { c.sendTo(p, `{"moved":true}`) }

// Publish has a process broadcast as the app would, and does not wait for the outcome. It returns
// ErrGone if the process has no link.
func (c *Client) Publish(p *Process, stream string, payload []byte) error {
	sent := c.sendTo(p, string(append(appendPublish(stream, payload), '}')))
	if !sent {
		return ErrGone
	}
	return nil
}

// Broadcast has a process broadcast as the app would, and waits until it has. The error is a
// *PublishError if Rails could not; ErrGone or ctx's cause mean that the outcome is unknown.
func (c *Client) Broadcast(ctx context.Context, p *Process, stream string, payload []byte) error {
	answer := make(chan error, 1)
	c.mu.Lock()
	l := p.link
	if l == nil {
		c.mu.Unlock()
		return ErrGone
	}
	l.publishNumber++
	number := l.publishNumber
	l.publishing[number] = answer
	frame := strconv.AppendUint(append(appendPublish(stream, payload), `,"number":`...), number, 10)
	l.enqueueFrame(string(append(frame, '}')))
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(l.publishing, number)
		c.mu.Unlock()
	}()
	select {
	case err := <-answer:
		return err
	case <-l.readingEnded:
		return ErrGone
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// appendPublish starts a publish frame, which the caller closes.
func appendPublish(stream string, payload []byte) []byte {
	b := appendText([]byte(`{"publish":`), stream)
	return appendText(append(b, `,"message":`...), string(payload))
}

// sendTo sends a frame to a process. It reports false if the process has no link.
func (c *Client) sendTo(p *Process, frame string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.link == nil {
		return false
	}
	p.link.enqueueFrame(frame)
	return true
}

// PublishError is Rails' reason why it could not broadcast.
type PublishError struct{ Reason string }

func (e *PublishError) Error() string { return "Rails cannot broadcast: " + e.Reason }

// published hands the outcome of a numbered publish to its Broadcast.
func (l *link) published(f *incoming) {
	var err error
	if f.failed != "" {
		err = &PublishError{f.failed}
	}
	l.client.mu.Lock()
	defer l.client.mu.Unlock()
	answer := l.publishing[f.number]
	if answer != nil {
		answer <- err
		delete(l.publishing, f.number)
	}
}

// notifyListener passes on a frame that concerns broadcasts.
func (l *link) notifyListener(f *incoming) {
	listener := l.client.listener
	if listener == nil {
		return
	}
	switch f.kind {
	case "going":
		switch f.going {
		case "began":
			listener.ProcessStopping(l.process)
		case "revoked":
			listener.ProcessReady(l.process)
		}
	case "listening":
		listener.Listening(l.process, f.text)
	case "broadcast":
		listener.Received(l.process, f.text, []byte(f.payload))
	case "missed":
		listener.Missed(l.process, f.text)
	}
}
