package rpc

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// link is the standing connection into one Rails process. Its reader acts on
// what comes, in order; its writer sends what the client has assigned to it.
type link struct {
	client  *Client
	process *Process
	conn    net.Conn
	reader  frameReader
	mac     *frameMAC // of our frames; nil: plain
	hello   hello
	since   time.Time
	heard   atomic.Int64 // Unix nanoseconds of the last frame from Rails
	pings   int          // of the client's ticker alone, as is pinged
	pinged  time.Time    // when it was asked last

	wake  chan struct{} // told when there is something to write
	ended chan struct{} // closed when reading has ended

	published  uint64                  // number of the latest broadcast that we asked for; guarded by the client's mu
	publishing map[uint64]chan<- error // those that Rails has not answered; guarded by the client's mu

	// guarded by the client's mu
	phase   phase
	given   error               // why we have cut it
	bye     bool                // what has no end by now has not run
	waiting lines               // of calls that must come here
	calls   map[uint64]*Pending // assigned to it, and without an end
	opening int                 // of these, opens
	number  uint64              // of the last one
	turn    int
	outbox  []outgoing
	busy    time.Time // since when it has as many calls as workers, or the last end since
}

// phase is how far a process has gone.
type phase int

const (
	staying phase = iota
	stopping      // no further call is sent
	handed        // its connections may move
)

// outgoing is a frame to be written.
type outgoing struct {
	call   *Pending
	number uint64
	text   string // if there is no call
}

// hello is what a process tells of itself.
type hello struct {
	Process  string    `json:"process"`
	Workers  int       `json:"workers"`
	Index    *int      `json:"index"` // of Puma's worker; nil: it has none
	Count    int       `json:"count"` // of Puma's workers; 0: not known
	Settings *Settings `json:"settings"`
}

// index is that of Puma's worker, or -1.
func (h *hello) index() int {
	if h.Index == nil {
		return -1
	}
	return *h.Index
}

// describe is the process as the log shows it.
func (l *link) describe() []any {
	about := []any{"process", l.process.ID, "workers", l.hello.Workers}
	if l.hello.Index != nil {
		about = append(about, "puma_worker", *l.hello.Index, "puma_workers", l.hello.Count)
	}
	return about
}

const (
	writeWait = 10 * time.Second // for Rails to take what is written

	pingAfter = 5 * time.Second // of silence

	// stallAfter is how long all workers of a process may be busy with the same
	// calls before newcomers go elsewhere.
	stallAfter = 250 * time.Millisecond

	// callsPerWorker are sent ahead, so that none of them waits for us.
	callsPerWorker = 4
)

var (
	// ErrGone says that the process has gone that had the call, which may have run.
	ErrGone = errors.New("the Rails process is gone, and the call may have run")

	errSilent = errors.New("the process answers no ping")
)

// run carries calls until the link ends, and returns why.
func (l *link) run() error {
	writing := make(chan error, 1)
	go func() { writing <- l.writeAll() }()
	reading := l.readAll()
	close(l.ended)
	l.conn.Close()
	if writing := <-writing; writing != nil {
		return writing // which has ended the reading
	}
	return reading
}

// send writes a frame of text after all that has been assigned so far.
func (l *link) send(text string) {
	l.client.mu.Lock()
	defer l.client.mu.Unlock()
	l.outbox = append(l.outbox, outgoing{text: text})
	l.signal()
}

func (l *link) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// hasRoom reports whether one call more may be sent. The client's mu is held.
func (l *link) hasRoom() bool {
	return l.phase == staying && len(l.calls) < callsPerWorker*l.hello.Workers
}

// mayOpen reports whether an open may be among the calls: these take as long as
// the app's connect, and others must not wait behind too many of them.
func (l *link) mayOpen() bool { return l.opening < l.hello.Workers }

// stalled reports whether all workers have been busy with the same calls for a
// while. The client's mu is held.
func (l *link) stalled(now time.Time) bool {
	return len(l.calls) >= l.hello.Workers && now.Sub(l.busy) > stallAfter
}

// assign gives the link a call. The client's mu is held.
func (l *link) assign(p *Pending, now time.Time) {
	if p.sent.IsZero() {
		p.sent = now
	}
	p.written = false
	if p.call.Fill != nil && p.call.Home != l.process {
		p.full = true
	}
	l.number++
	l.calls[l.number] = p
	if p.call.Do == Open {
		l.opening++
		l.process.connections++
	}
	if len(l.calls) == l.hello.Workers {
		l.busy = now
	}
	l.outbox = append(l.outbox, outgoing{call: p, number: l.number})
	l.signal()
}

// release forgets an assigned call. The client's mu is held.
func (l *link) release(number uint64) *Pending {
	p := l.calls[number]
	if p == nil {
		return nil
	}
	delete(l.calls, number)
	if p.call.Do == Open {
		l.opening--
	}
	return p
}

func (l *link) writeAll() error {
	var batch []outgoing
	var buffer []byte
	for {
		select {
		case <-l.wake:
		case <-l.ended:
			return nil
		}
		l.client.mu.Lock()
		batch, l.outbox = l.outbox, batch[:0]
		l.client.mu.Unlock()
		if cap(buffer) > keptBuffer {
			buffer = nil
		}
		buffer = buffer[:0]
		ends := make([]int, len(batch))
		for i, one := range batch {
			buffer = l.appendOutgoing(buffer, one)
			ends[i] = len(buffer)
		}
		if err := l.write(buffer, batch, ends); err != nil {
			l.conn.Close()
			return err
		}
		clear(batch)
	}
}

// write notes which calls have left as a whole: those may run.
func (l *link) write(buffer []byte, batch []outgoing, ends []int) error {
	if len(buffer) == 0 {
		return nil
	}
	l.conn.SetWriteDeadline(time.Now().Add(writeWait))
	n, err := l.conn.Write(buffer)
	l.client.mu.Lock()
	defer l.client.mu.Unlock()
	for i, one := range batch {
		if one.call != nil {
			one.call.written = ends[i] <= n
		}
	}
	if err != nil {
		return fmt.Errorf("writing calls: %w", err)
	}
	return nil
}

// appendOutgoing appends nothing for a call that cannot be sent, which it ends.
func (l *link) appendOutgoing(b []byte, one outgoing) []byte {
	start := len(b)
	b = beginFrame(b)
	if one.call == nil {
		b, _ = endFrame(append(b, one.text...), start, l.mac)
		return b
	}
	err := one.call.fill(l.process)
	if err == nil {
		b = appendNumbered(b, one.number, &one.call.call)
		b, err = endFrame(b, start, l.mac)
	}
	if err != nil {
		l.client.refuse(l, one.number, err)
		return b[:start]
	}
	return b
}

// fill makes the call a full one for that process, if it must be.
func (p *Pending) fill(at *Process) error {
	if !p.full {
		return nil
	}
	return p.call.Fill(&p.call, at)
}

func (l *link) readAll() error {
	for {
		text, err := l.reader.next()
		if err != nil {
			l.client.mu.Lock()
			bye := l.bye
			l.client.mu.Unlock()
			if bye && errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("reading from Rails: %w", err)
		}
		l.heard.Store(time.Now().UnixNano())
		if err := l.take(text); err != nil {
			return fmt.Errorf("reading from Rails: %w", err)
		}
	}
}

// incoming is a frame from Rails.
type incoming struct {
	kind       string // the key that says what it is
	number     uint64
	connection string
	going      string
	text       string // of listening, broadcast and missed
	payload    string // of broadcast
	failed     string // of published: why it could not be
	result     Result
}

func parseIncoming(text []byte) (f incoming, err error) {
	if !json.Valid(text) {
		return f, errors.New("a frame is invalid JSON")
	}
	c := &cursor{text: text}
	c.object(func(key string) {
		switch key {
		case "call", "end", "sync", "pong", "published":
			f.kind, f.number = key, c.number()
		case "conn":
			f.connection = c.string()
			if f.kind == "" {
				f.kind = key
			}
		case "kept":
			if f.kind == "" {
				f.kind, f.connection = key, c.string()
			} else {
				err = errors.Join(err, f.result.parse(c, key))
			}
		case "going":
			f.kind, f.going = key, c.string()
		case "listening", "broadcast", "missed":
			f.kind, f.text = key, c.string()
		case "message":
			f.payload = c.string()
		case "failed":
			f.failed = c.string()
		case "bye", "hello":
			f.kind = key
			c.skip()
		default:
			err = errors.Join(err, f.result.parse(c, key))
		}
	})
	return f, err
}

// take acts on one frame.
func (l *link) take(text []byte) error {
	f, err := parseIncoming(text)
	if err != nil {
		return err
	}
	handler := l.client.handler
	switch f.kind {
	case "end":
		return l.client.answered(l, f.number, &f.result)
	case "call":
		l.client.mu.Lock()
		p := l.calls[f.number]
		l.client.mu.Unlock()
		if p == nil {
			return fmt.Errorf("effects of call %d, which is not under way", f.number)
		}
		handler.Effects(p.call.Connection, f.result.Ops)
	case "conn":
		handler.Effects(f.connection, f.result.Ops)
	case "sync":
		handler.Sync(f.connection, func() { l.send(fmt.Sprintf(`{"synced":%d}`, f.number)) })
	case "kept":
		handler.Keep(f.connection, l.process, Kept{
			Version: f.result.Version, State: f.result.State, Channels: f.result.Channels, Warnings: f.result.Warnings,
		})
	case "going":
		if err := l.client.goes(l, f.going); err != nil {
			return err
		}
		l.tellListener(&f)
	case "bye":
		l.client.mu.Lock()
		l.bye = true
		l.client.mu.Unlock()
	case "listening", "broadcast", "missed":
		l.tellListener(&f)
	case "published":
		l.hasPublished(&f)
	case "pong":
	default:
		return fmt.Errorf("a frame of an unknown kind: is the gem newer than catenary?")
	}
	return nil
}

// ping asks an idle process whether it lives, and gives it up if it has been
// silent for too long.
func (l *link) ping(now time.Time, patience time.Duration) {
	silent := now.Sub(time.Unix(0, l.heard.Load()))
	if silent < pingAfter {
		return
	}
	if silent > patience && !l.inDevelopment() {
		l.client.giveUp(l, errSilent)
		return
	}
	if now.Sub(l.pinged) < pingAfter {
		return
	}
	l.pings, l.pinged = l.pings+1, now
	l.send(fmt.Sprintf(`{"ping":%d}`, l.pings))
}

// inDevelopment says that silence proves nothing: a debugger stops all threads.
func (l *link) inDevelopment() bool {
	return l.hello.Settings != nil && l.hello.Settings.Environment == "development"
}
