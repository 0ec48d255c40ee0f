package broadcast

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/tidwall/redcon"
)

// respClient is one client of the embedded source: Rails' publisher, another
// subscriber, redis-cli. Its own goroutine reads commands and writes the
// replies; only a subscriber has a second one, which writes what others
// publish.
type respClient struct {
	source *Embedded
	conn   net.Conn
	id     int64
	since  time.Time

	// owned by serve
	authenticated bool
	quit          bool

	// guarded by source.mu
	name     string
	topics   map[string]struct{}
	patterns map[string]struct{}

	// guarded by mu
	mu       sync.Mutex
	resp3    bool
	pending  []byte // not yet written
	overflow bool

	flushing sync.Mutex // held while writing, so that bytes stay in order
	spare    []byte     // the buffer last written, for reuse; guarded by flushing

	wake chan struct{} // holds one token while another's message is pending; nil until it subscribes
}

// keptBuffer is the largest output buffer, in bytes, that an idle client keeps.
const keptBuffer = 64 << 10

// respWriteTimeout ends a client that takes nothing at all.
const respWriteTimeout = 10 * time.Second

func newRESPClient(source *Embedded, conn net.Conn, id int64) *respClient {
	return &respClient{
		source: source, conn: conn, id: id, since: time.Now(),
		authenticated: source.options.Password == "",
		topics:        make(map[string]struct{}),
		patterns:      make(map[string]struct{}),
	}
}

// serve answers commands until the client leaves.
func (c *respClient) serve() {
	defer c.leave()
	defer func() {
		// redcon's parser trusts lengths that overflow; that must cost the
		// client its connection and not us the process.
		if cause := recover(); cause != nil {
			c.source.log.Error("a client of the embedded broadcast source sent what cannot be parsed",
				"client", c.conn.RemoteAddr().String(), "error", fmt.Sprint(cause), "stack", string(debug.Stack()))
		}
	}()
	input := &boundedReader{r: c.conn, limit: c.source.options.MaxMessage}
	commands := redcon.NewReader(input)
	for !c.quit {
		batch, err := commands.ReadCommands()
		if errors.Is(err, errCommandTooLarge) {
			c.reply(func(b []byte) []byte {
				return redcon.AppendError(b, fmt.Sprintf("ERR Protocol error: a command larger than %d bytes", input.limit))
			})
			_ = c.flush()
			return
		}
		if err != nil {
			return
		}
		input.read = 0
		for _, command := range batch {
			if c.quit || len(command.Args) == 0 {
				break
			}
			c.execute(command.Args)
		}
		if err := c.flush(); err != nil {
			return
		}
	}
}

func (c *respClient) leave() {
	e := c.source
	_ = c.conn.Close()
	e.mu.Lock()
	delete(e.clients, c)
	for topic := range c.topics {
		drop(e.topics, topic, c)
	}
	for pattern := range c.patterns {
		drop(e.patterns, pattern, c)
	}
	e.mu.Unlock()
	if c.wake != nil {
		close(c.wake) // nobody finds this client any more
	}
}

// reply appends to what waits to be written.
func (c *respClient) reply(build func(b []byte) []byte) {
	c.mu.Lock()
	c.pending = build(c.pending)
	c.mu.Unlock()
}

// message is called for each publication, by the publisher's goroutine.
func (c *respClient) message(topic string, payload []byte) {
	c.push(len(topic)+len(payload), func(b []byte) []byte {
		b = c.appendPush(b, 3, "message")
		b = redcon.AppendBulkString(b, topic)
		return redcon.AppendBulk(b, payload)
	})
}

func (c *respClient) patternMessage(pattern, topic string, payload []byte) {
	c.push(len(pattern)+len(topic)+len(payload), func(b []byte) []byte {
		b = c.appendPush(b, 4, "pmessage")
		b = redcon.AppendBulkString(b, pattern)
		b = redcon.AppendBulkString(b, topic)
		return redcon.AppendBulk(b, payload)
	})
}

// push never blocks. A subscriber that has let too much wait is cut off, as
// Redis does; it is to come back and read faster.
func (c *respClient) push(size int, build func(b []byte) []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.overflow {
		return
	}
	if len(c.pending)+size > c.source.options.MaxPending {
		c.overflow, c.pending = true, nil
		c.source.log.Warn("a subscriber of the embedded broadcast source reads too slowly and was cut off",
			"client", c.conn.RemoteAddr().String(), "limit", c.source.options.MaxPending)
		_ = c.conn.Close()
		return
	}
	c.pending = build(c.pending)
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// appendPush begins a pub/sub message: a push in RESP3, an array before.
func (c *respClient) appendPush(b []byte, n int, kind string) []byte {
	if c.resp3 {
		b = append(b, '>', byte('0'+n), '\r', '\n')
	} else {
		b = redcon.AppendArray(b, n)
	}
	return redcon.AppendBulkString(b, kind)
}

// startPushing gives a subscriber its writer. Called by serve with source.mu held.
func (c *respClient) startPushing() {
	if c.wake != nil {
		return
	}
	c.wake = make(chan struct{}, 1)
	wake := c.wake
	c.source.serving.Go(func() {
		for range wake {
			if c.flush() != nil {
				_ = c.conn.Close() // serve sees it and leaves
			}
		}
	})
}

func (c *respClient) flush() error {
	c.flushing.Lock()
	defer c.flushing.Unlock()
	c.mu.Lock()
	waiting := c.pending
	c.pending, c.spare = c.spare, nil
	c.mu.Unlock()
	if cap(waiting) <= keptBuffer {
		defer func() { c.spare = waiting[:0] }()
	}
	if len(waiting) == 0 {
		return nil
	}
	if err := c.conn.SetWriteDeadline(time.Now().Add(respWriteTimeout)); err != nil {
		return err
	}
	_, err := c.conn.Write(waiting)
	return err
}

var errCommandTooLarge = errors.New("command too large")

// boundedReader ends a client that sends more than limit bytes without
// completing a command; redcon's reader would buffer it all.
type boundedReader struct {
	r           io.Reader
	limit, read int
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.read > b.limit {
		return 0, errCommandTooLarge
	}
	n, err := b.r.Read(p)
	b.read += n
	return n, err
}
