package rpc

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"time"
)

// link is the standing connection into one Rails process. One goroutine writes the calls that the
// client assigns to it; another reads frames and acts on them in order. Client.open makes it.
type link struct {
	// static after the upgrade
	client  *Client
	process *Process
	conn    net.Conn
	mac     *frameMAC // of our frames; nil: plain
	hello   hello
	since   time.Time // when it was opened

	reader frameReader // owned by readAll

	lastFrame atomic.Int64 // Unix nanoseconds of the last frame from Rails

	// owned by Client.maintain
	pings    int // sent
	lastPing time.Time

	wake         chan struct{} // holds one token while outbox is not empty
	readingEnded chan struct{} // closed when readAll returns

	// guarded by the client's mu
	phase         phase
	hasRun        bool                    // phase was running once
	abortReason   error                   // why catenary closed the link, if it did
	bye           bool                    // Rails has sent bye: calls without a result have not run
	queues        queues                  // calls that must go to this process
	calls         map[uint64]*Pending     // assigned and without a result, by number
	opens         int                     // how many of calls open a connection
	lastNumber    uint64                  // of the last call assigned
	turn          int                     // see Client.next
	outbox        []outgoing              // frames for the writer
	lastProgress  time.Time               // of the last result, or of the call that made all workers busy
	publishNumber uint64                  // of the last Broadcast
	publishing    map[uint64]chan<- error // Broadcasts that wait for their outcome, by number
}

// phase is whether a process accepts calls.
type phase int

const (
	starting phase = iota // no calls are sent before Client.Start
	running
	stopping   // Rails sent going: began; no further calls are sent
	handedOver // Rails sent going: handed; its connections may move to other processes
)

// outgoing is a frame for the writer: a call, or ready-made JSON.
type outgoing struct {
	call   *Pending // nil: json is sent
	number uint64   // of the call
	json   string
}

const (
	writeWait = 10 * time.Second // for the kernel to take one batch of frames

	// startWait is how long a new process may take to listen to broadcasts. Then it gets calls all the
	// same: its adapter may be broken.
	startWait = 5 * time.Second

	pingAfter = 5 * time.Second // without a frame from Rails; also the pause between pings

	// stallAfter is how long all workers of a process may be busy without a result. Then calls that
	// any process can run go to others.
	stallAfter = 250 * time.Millisecond

	// callsPerWorker is how many calls may be in flight for each worker: one that has finished a call
	// finds the next one already there.
	callsPerWorker = 4
)

var (
	// ErrGone means that the Rails process that had a call is gone. The call may have run.
	ErrGone = errors.New("the Rails process is gone, and the call may have run")

	errNoPong = errors.New("the process stopped answering pings")
)

// hasRoom reports whether the link can take one more call. The client's mu is held.
func (l *link) hasRoom() bool {
	return l.phase == running && len(l.calls) < callsPerWorker*l.hello.Workers
}

// stopping reports whether the process is about to stop. The client's mu is held.
func (l *link) stopping() bool { return l.phase >= stopping }

// canOpen reports whether the link can take a call that opens a connection. Such a call takes as long
// as the app's connect, so there are at most as many as workers. The client's mu is held.
func (l *link) canOpen() bool { return l.opens < l.hello.Workers }

// stalled reports whether all workers have been busy for stallAfter without a result. The client's
// mu is held.
func (l *link) stalled(now time.Time) bool {
	return len(l.calls) >= l.hello.Workers && now.Sub(l.lastProgress) > stallAfter
}

// assign gives the link a call to send. The client's mu is held.
func (l *link) assign(p *Pending, now time.Time) {
	if p.sentAt.IsZero() {
		p.sentAt = now
	}
	p.written = false
	if p.call.Fill != nil && p.call.Home != l.process {
		p.full = true
	}
	l.lastNumber++
	l.calls[l.lastNumber] = p
	if p.call.Do == Open {
		l.opens++
		l.process.connections++
	}
	if len(l.calls) == l.hello.Workers {
		l.lastProgress = now
	}
	l.enqueue(outgoing{call: p, number: l.lastNumber})
}

// release forgets an assigned call, and returns it; nil if there is no call of that number. The
// client's mu is held.
func (l *link) release(number uint64) *Pending {
	p := l.calls[number]
	if p == nil {
		return nil
	}
	delete(l.calls, number)
	if p.call.Do == Open {
		l.opens--
	}
	return p
}

// send sends a frame after everything that is in the outbox.
func (l *link) send(frame string) {
	l.client.mu.Lock()
	defer l.client.mu.Unlock()
	l.enqueueFrame(frame)
}

// enqueueFrame is send with the client's mu held.
func (l *link) enqueueFrame(frame string) { l.enqueue(outgoing{json: frame}) }

func (l *link) enqueue(o outgoing) {
	l.outbox = append(l.outbox, o)
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run carries calls until the link closes, and returns why it did; nil if Rails sent bye.
func (l *link) run() error {
	writing := make(chan error, 1)
	go func() { writing <- l.writeAll() }()
	readErr := l.readAll()
	close(l.readingEnded)
	l.conn.Close()
	writeErr := <-writing
	if writeErr != nil {
		return writeErr // the failed write closed the connection, which ended the reading
	}
	return readErr
}

// writeAll writes what is in the outbox, in batches, until reading has ended.
func (l *link) writeAll() error {
	var batch []outgoing
	var buffer []byte
	for {
		select {
		case <-l.wake:
		case <-l.readingEnded:
			return nil
		}
		runtime.Gosched() // lets goroutines that are about to make calls share the write
		l.client.mu.Lock()
		batch, l.outbox = l.outbox, batch[:0]
		l.client.mu.Unlock()
		if cap(buffer) > keptBuffer {
			buffer = nil
		}
		buffer = buffer[:0]
		ends := make([]int, len(batch))
		for i, o := range batch {
			buffer = l.appendOutgoing(buffer, o)
			ends[i] = len(buffer)
		}
		err := l.write(buffer, batch, ends)
		if err != nil {
			l.conn.Close()
			return err
		}
		clear(batch)
	}
}

// appendOutgoing appends a frame. A call that cannot be sent appends nothing and fails.
func (l *link) appendOutgoing(b []byte, o outgoing) []byte {
	start := len(b)
	b = beginFrame(b)
	if o.call == nil {
		b, _ = endFrame(append(b, o.json...), start, l.mac) // our own frames are never too long
		return b
	}
	err := o.call.fill(l.process)
	if err == nil {
		b = appendNumbered(b, o.number, o.call.call)
		b, err = endFrame(b, start, l.mac)
	}
	if err != nil {
		l.client.callFailed(l, o.number, err)
		return b[:start]
	}
	return b
}

// write writes a batch, whose frames end at ends, and notes which calls the kernel took in full:
// only those may run.
func (l *link) write(buffer []byte, batch []outgoing, ends []int) error {
	if len(buffer) == 0 {
		return nil
	}
	l.conn.SetWriteDeadline(time.Now().Add(writeWait))
	n, err := l.conn.Write(buffer)
	l.client.mu.Lock()
	defer l.client.mu.Unlock()
	for i, o := range batch {
		if o.call != nil {
			o.call.written = ends[i] <= n
		}
	}
	if err != nil {
		return fmt.Errorf("writing to Rails: %w", err)
	}
	return nil
}

// readAll acts on frames until the link closes.
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
		l.lastFrame.Store(time.Now().UnixNano())
		err = l.receive(text)
		if err != nil {
			return fmt.Errorf("reading from Rails: %w", err)
		}
	}
}

// receive acts on one frame. An error closes the link.
func (l *link) receive(text []byte) error {
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
			return fmt.Errorf("effects of call %d, which is not in flight", f.number)
		}
		handler.Effects(p.call.Connection, f.result.Ops)
	case "conn":
		handler.Effects(f.connection, f.result.Ops)
	case "sync":
		handler.Sync(f.connection, func() { l.send(fmt.Sprintf(`{"synced":%d}`, f.number)) })
	case "kept":
		handler.Keep(f.connection, l.process, Kept{
			Version: f.result.Version, State: f.result.State,
			Channels: f.result.Channels, Warnings: f.result.Warnings,
		})
	case "going":
		err := l.client.processStopping(l, f.going)
		if err != nil {
			return err
		}
		l.notifyListener(f)
	case "bye":
		l.client.mu.Lock()
		l.bye = true
		l.client.mu.Unlock()
	case "listening", "broadcast", "missed":
		l.notifyListener(f)
	case "published":
		l.published(f)
	case "pong": // lastFrame has been set
	default:
		return errors.New("unknown frame: is the gem newer than catenary?")
	}
	return nil
}

// ping pings a process that has sent nothing for pingAfter, and aborts the link after a silence of
// timeout.
func (l *link) ping(now time.Time, timeout time.Duration) {
	silence := now.Sub(time.Unix(0, l.lastFrame.Load()))
	if silence < pingAfter {
		return
	}
	if silence > timeout && !l.inDevelopment() {
		l.abort(errNoPong)
		return
	}
	if now.Sub(l.lastPing) < pingAfter {
		return
	}
	l.pings++
	l.lastPing = now
	l.send(fmt.Sprintf(`{"ping":%d}`, l.pings))
}

// inDevelopment reports whether a debugger may have stopped all threads of the process.
func (l *link) inDevelopment() bool {
	return l.hello.Settings != nil && l.hello.Settings.Environment == "development"
}

// abort closes the link for a reason, which the log then names.
func (l *link) abort(reason error) {
	l.client.mu.Lock()
	l.abortReason = reason
	l.client.mu.Unlock()
	l.conn.Close()
}
