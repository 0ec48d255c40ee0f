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

// A Browser is the far end of one cable connection, down to the bytes: unlike a WebSocket library it can also
// break every rule of RFC 6455, which is what the transcripts about hostile input are for.
type Browser struct {
	Conn     net.Conn
	Response *http.Response
	Body     string     // of a refusal
	Heard    chan Event // what the server said, in order; closed at the end of the TCP connection
	may      []string   // what may come besides, as transcripts write it
	fences   int        // commands sent by Fence
	dialled  time.Time
	key      string // Sec-WebSocket-Key

	writing sync.Mutex
	deaf    bool // does not answer the server's close frame
}

// An Event is one thing that a server said.
type Event struct {
	Kind string // text, binary, ping, pong, close
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

// Dial makes the handshake of request with the server at address. The request goes out as written; headers keep
// their case and order.
func Dial(address, request string) (*Browser, error) { return DialFrom("", address, request) }

// DialFrom does so from an address of this machine's, "" for any.
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
	b := &Browser{Conn: conn, dialled: dialled, key: key, Response: response, Heard: make(chan Event, 8192)}
	if response.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(response.Body)
		b.Body = string(body)
		conn.Close()
		close(b.Heard)
		return b, nil
	}
	go b.listen(reader)
	return b, nil
}

// Connect makes a TCP connection from an address of this machine's, of which loopback has many; "" is any.
func Connect(from, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: Patience}
	if from != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	return dialer.Dial("tcp", address)
}

func (b *Browser) listen(reader *bufio.Reader) {
	defer close(b.Heard)
	for {
		op, payload, err := ReadFrame(reader)
		if err != nil {
			return
		}
		now := time.Now()
		switch op {
		case OpText:
			b.Heard <- Event{"text", string(payload), now}
		case OpBinary:
			b.Heard <- Event{"binary", string(payload), now}
		case OpPing:
			b.Heard <- Event{"ping", string(payload), now}
			b.Write(OpPong, payload)
		case OpPong:
			b.Heard <- Event{"pong", string(payload), now}
		case OpClose:
			b.Heard <- Event{"close", closeText(payload), now}
			if !b.deaf {
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

// ClosePayload is the payload of a close frame.
func ClosePayload(code int, reason string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)
}

// Send writes a text frame, masked as browsers mask.
func (b *Browser) Send(text string) error { return b.Write(OpText, []byte(text)) }

// Write writes a frame, masked as browsers mask.
func (b *Browser) Write(op byte, payload []byte) error {
	return b.WriteRaw(MaskedFrame(0x80|op, payload))
}

// WriteRaw writes bytes, which need not be a frame.
func (b *Browser) WriteRaw(bytes []byte) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	b.Conn.SetWriteDeadline(time.Now().Add(Patience))
	_, err := b.Conn.Write(bytes)
	return err
}

// Next waits for the next thing the server says. At the end of the TCP connection the kind is "end".
func (b *Browser) Next() (Event, bool) {
	select {
	case e, open := <-b.Heard:
		return heard(e, open), true
	case <-time.After(Patience):
		return Event{}, false
	}
}

// Said is the next thing the server has said already, pings left out.
func (b *Browser) Said() (Event, bool) {
	for {
		select {
		case e, open := <-b.Heard:
			if e = heard(e, open); !IsPing(e) {
				return e, true
			}
		default:
			return Event{}, false
		}
	}
}

func heard(e Event, open bool) Event {
	if !open {
		return Event{Kind: "end", At: time.Now()}
	}
	return e
}

// Ignore reads what the server says and forgets it.
func (b *Browser) Ignore() {
	for range b.Heard {
	}
}

// Close ends TCP without a close frame.
func (b *Browser) Close() { b.Conn.Close() }

// MaskedFrame is a frame as browsers send it. first is its first byte: FIN, the reserved bits and the opcode.
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

// ReadFrame reads a message of one frame or several from a server.
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

// WebSocketKey is what handshakes have as their Sec-WebSocket-Key.
const WebSocketKey = "dGhlIHNhbXBsZSBub25jZQ=="

// webSocketAccept is what RFC 6455 wants as the answer to a key.
func webSocketAccept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// IsPing reports whether this is one of Action Cable's pings.
func IsPing(e Event) bool { return e.Kind == "text" && strings.HasPrefix(e.Text, `{"type":"ping"`) }

// NextFrame waits for the next thing that is no ping.
func NextFrame(b *Browser) (Event, bool) {
	deadline := time.After(Patience)
	for {
		select {
		case e, open := <-b.Heard:
			if e = heard(e, open); !IsPing(e) {
				return e, true
			}
		case <-deadline:
			return Event{}, false
		}
	}
}

const fence = `{"channel":"FenceChannel"}`

// Fence sends further commands and returns what the server says before it has answered them, pings left out. Behind catenary
// one would do: nothing more can come of the commands before it. Natively it can, for Rails runs commands side by side; so
// there are a few, one after the other.
func (b *Browser) Fence() (said []Event, err error) {
	await := func(answer string) error {
		for {
			e, ok := NextFrame(b)
			switch {
			case !ok:
				return errors.New("a further command is not answered")
			case e.Kind == "end":
				return errors.New("the connection has ended")
			case e.Text == answer:
				return nil
			}
			said = append(said, e)
		}
	}
	if b.fences == 0 {
		b.Send(Command("subscribe", fence, nil))
		if err := await(Confirmation(fence)); err != nil {
			return said, err
		}
	}
	for range 3 {
		b.fences++
		data := fmt.Sprintf(`{"action":"echo","n":%d}`, b.fences)
		b.Send(Command("message", fence, data))
		if err := await(MessageFor(fence, data)); err != nil {
			return said, err
		}
	}
	return said, nil
}

// IsQuiet is nil if the server says nothing until it has answered a further command.
func (b *Browser) IsQuiet() error {
	said, err := b.Fence()
	if err == nil && len(said) > 0 {
		err = fmt.Errorf("got %s", Short(said[0].String()))
	}
	return err
}

// Awaits reports whether a text with these words comes.
func (b *Browser) Awaits(words string) bool {
	for {
		e, ok := b.Next()
		if !ok || e.Kind == "end" {
			return false
		}
		if strings.Contains(e.Text, words) {
			return true
		}
	}
}
