package stage

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// A Browser is one Action Cable client at the level of bytes. Unlike a WebSocket library it can
// break every rule of RFC 6455, which transcripts with hostile input need.
type Browser struct {
	Conn     net.Conn
	Response *http.Response
	Body     string     // of a rejected handshake
	Events   chan Event // what the server sent, in order; closed when the TCP connection ends
	optional []string   // lines that the server may send, as transcripts write them
	fences   int        // number of commands that Fence has sent
	dialled  time.Time
	key      string // Sec-WebSocket-Key

	writing      sync.Mutex
	ignoresClose bool // does not answer the server's close frame
}

// An Event is one message or control frame from the server, or the end of the connection.
type Event struct {
	Kind string // text, binary, ping, pong, close, end
	Text string // for close: the code and, after a space, the reason
	At   time.Time
}

func (e Event) String() string {
	if e.Kind == "text" {
		return e.Text
	}
	return fmt.Sprintf("(%s)", strings.TrimSpace(e.Kind+" "+e.Text))
}

const (
	OpText   = 0x1
	OpBinary = 0x2
	OpClose  = 0x8
	OpPing   = 0x9
	OpPong   = 0xA
)

// Dial sends a handshake to the server at address. It sends the request as written, so headers keep
// their case and order.
func Dial(address, request string) (*Browser, error) { return DialFrom("", address, request) }

// DialFrom is Dial from a local address, "" for any.
func DialFrom(from, address, request string) (*Browser, error) {
	dialled := time.Now()
	conn, err := Connect(from, address)
	if err != nil {
		return nil, fmt.Errorf("dial the server: %w", err)
	}
	conn.SetDeadline(dialled.Add(Patience))
	if _, err := io.WriteString(conn, request); err != nil {
		conn.Close()
		return nil, fmt.Errorf("send the handshake: %w", err)
	}
	method, _, _ := strings.Cut(request, " ")
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, &http.Request{Method: method})
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("read the answer to the handshake: %w", err)
	}
	conn.SetDeadline(time.Time{})
	_, key, _ := strings.Cut(request, "\r\nSec-WebSocket-Key: ")
	key, _, _ = strings.Cut(key, "\r\n")
	b := &Browser{Conn: conn, dialled: dialled, key: key, Response: response, Events: make(chan Event, 8192)}
	if response.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(response.Body)
		b.Body = string(body)
		conn.Close()
		close(b.Events)
		return b, nil
	}
	go b.listen(reader)
	return b, nil
}

// Connect opens a TCP connection from a local address, "" for any. Loopback has many addresses.
func Connect(from, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: Patience}
	if from != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	return dialer.Dial("tcp", address)
}

func (b *Browser) listen(reader *bufio.Reader) {
	defer close(b.Events)
	for {
		op, payload, err := ReadFrame(reader)
		if err != nil {
			return
		}
		now := time.Now()
		switch op {
		case OpText:
			b.Events <- Event{"text", string(payload), now}
		case OpBinary:
			b.Events <- Event{"binary", string(payload), now}
		case OpPing:
			b.Events <- Event{"ping", string(payload), now}
			b.Write(OpPong, payload)
		case OpPong:
			b.Events <- Event{"pong", string(payload), now}
		case OpClose:
			b.Events <- Event{"close", closeText(payload), now}
			if !b.ignoresClose {
				b.Write(OpClose, payload)
			}
		}
	}
}

func closeText(payload []byte) string {
	if len(payload) < 2 {
		return ""
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", binary.BigEndian.Uint16(payload), payload[2:]))
}

// ClosePayload returns the payload of a close frame.
func ClosePayload(code int, reason string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)
}

// Send writes a masked text frame.
func (b *Browser) Send(text string) error { return b.Write(OpText, []byte(text)) }

// Write writes a masked frame.
func (b *Browser) Write(op byte, payload []byte) error {
	return b.WriteRaw(MaskedFrame(0x80|op, payload))
}

// WriteRaw writes any bytes, valid frame or not.
func (b *Browser) WriteRaw(bytes []byte) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	b.Conn.SetWriteDeadline(time.Now().Add(Patience))
	_, err := b.Conn.Write(bytes)
	return err
}

// Next waits for the next event. It returns an event of kind "end" after the TCP connection has
// ended, and false when Patience is over.
func (b *Browser) Next() (Event, bool) {
	select {
	case e, open := <-b.Events:
		return orEnd(e, open), true
	case <-time.After(Patience):
		return Event{}, false
	}
}

// Poll returns the next event that has arrived already, except Action Cable's pings.
func (b *Browser) Poll() (Event, bool) {
	for {
		select {
		case e, open := <-b.Events:
			e = orEnd(e, open)
			if !IsPing(e) {
				return e, true
			}
		default:
			return Event{}, false
		}
	}
}

func orEnd(e Event, open bool) Event {
	if !open {
		return Event{Kind: "end", At: time.Now()}
	}
	return e
}

// Discard reads and drops events until the connection ends.
func (b *Browser) Discard() {
	for range b.Events {
	}
}

// Close closes the TCP connection without a close frame.
func (b *Browser) Close() { b.Conn.Close() }

// MaskedFrame returns a frame as browsers send it. first holds FIN, the reserved bits and the
// opcode.
func MaskedFrame(first byte, payload []byte) []byte {
	frame := []byte{first}
	switch n := len(payload); {
	case n < 126:
		frame = append(frame, 0x80|byte(n))
	case n < 1<<16:
		frame = binary.BigEndian.AppendUint16(append(frame, 0x80|126), uint16(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, 0x80|127), uint64(n))
	}
	mask := [4]byte{0x1f, 0x2e, 0x3d, 0x4c}
	frame = append(frame, mask[:]...)
	for i, c := range payload {
		frame = append(frame, c^mask[i%4])
	}
	return frame
}

// ReadFrame reads one message from a server, in one frame or several.
func ReadFrame(reader *bufio.Reader) (op byte, payload []byte, err error) {
	for {
		var head [2]byte
		if _, err := io.ReadFull(reader, head[:]); err != nil {
			return 0, nil, err
		}
		size := uint64(head[1] & 0x7f)
		extended := map[uint64]int{126: 2, 127: 8}[size]
		if extended > 0 {
			var length [8]byte
			if _, err := io.ReadFull(reader, length[8-extended:]); err != nil {
				return 0, nil, err
			}
			size = binary.BigEndian.Uint64(length[:])
		}
		part := make([]byte, size)
		if _, err := io.ReadFull(reader, part); err != nil {
			return 0, nil, err
		}
		if frameOp := head[0] & 0x0f; frameOp != 0 {
			op = frameOp
		}
		payload = append(payload, part...)
		if head[0]&0x80 != 0 {
			return op, payload, nil
		}
	}
}

// WebSocketKey is the Sec-WebSocket-Key of all handshakes.
const WebSocketKey = "dGhlIHNhbXBsZSBub25jZQ=="

// webSocketAccept returns the answer to a key that RFC 6455 demands.
func webSocketAccept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// IsPing reports whether this is one of Action Cable's pings.
func IsPing(e Event) bool { return e.Kind == "text" && strings.HasPrefix(e.Text, `{"type":"ping"`) }

// NextFrame waits for the next event that is not one of Action Cable's pings.
func NextFrame(b *Browser) (Event, bool) {
	deadline := time.After(Patience)
	for {
		select {
		case e, open := <-b.Events:
			e = orEnd(e, open)
			if !IsPing(e) {
				return e, true
			}
		case <-deadline:
			return Event{}, false
		}
	}
}

const fence = `{"channel":"FenceChannel"}`

// Fence sends further commands and returns the events before their answers, except pings. After it,
// nothing more can come from earlier commands. One command would be enough behind catenary; Rails
// runs commands concurrently, so Fence sends several, each after the answer to the one before.
func (b *Browser) Fence() (events []Event, err error) {
	await := func(answer string) error {
		for {
			e, ok := NextFrame(b)
			switch {
			case !ok:
				return errors.New("no answer to a further command")
			case e.Kind == "end":
				return errors.New("the connection ended")
			case e.Text == answer:
				return nil
			}
			events = append(events, e)
		}
	}
	if b.fences == 0 {
		b.Send(Command("subscribe", fence, nil))
		if err := await(Confirmation(fence)); err != nil {
			return events, err
		}
	}
	for range 3 {
		b.fences++
		data := fmt.Sprintf(`{"action":"echo","n":%d}`, b.fences)
		b.Send(Command("message", fence, data))
		if err := await(MessageFor(fence, data)); err != nil {
			return events, err
		}
	}
	return events, nil
}

// CheckQuiet returns an error if the server sends anything before it answers a further command.
func (b *Browser) CheckQuiet() error {
	events, err := b.Fence()
	if err == nil && len(events) > 0 {
		err = fmt.Errorf("got %s", Short(events[0].String()))
	}
	return err
}

// WaitForText waits for an event that contains text, and reports whether one came.
func (b *Browser) WaitForText(text string) bool {
	for {
		e, ok := b.Next()
		if !ok || e.Kind == "end" {
			return false
		}
		if strings.Contains(e.Text, text) {
			return true
		}
	}
}
