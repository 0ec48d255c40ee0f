package main

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// A browser is the far end of one cable connection, down to the bytes: unlike a WebSocket library it can also
// break every rule of RFC 6455, which is what the transcripts about hostile input are for.
type browser struct {
	conn     net.Conn
	response *http.Response
	body     string     // of a refusal
	heard    chan event // what the server said, in order; closed at the end of the TCP connection
	kept     *event     // taken from heard, and not what was looked for

	writing sync.Mutex
	deaf    bool // does not answer the server's close frame
}

// An event is one thing that a server said.
type event struct {
	kind string // text, binary, ping, pong, close
	text string // for close: the code and, after a space, the reason
	at   time.Time
}

func (e event) String() string {
	if e.kind == "text" {
		return e.text
	}
	return fmt.Sprintf("(%s)", strings.TrimSpace(e.kind+" "+e.text))
}

const (
	opText   = 0x1
	opBinary = 0x2
	opClose  = 0x8
	opPing   = 0x9
	opPong   = 0xA
)

// dial makes the handshake of request with the server at address. The request goes out as written; headers keep
// their case and order.
func dial(address, request string) (*browser, error) { return dialFrom("", address, request) }

// dialFrom does so from an address of this machine's, "" for any.
func dialFrom(from, address, request string) (*browser, error) {
	conn, err := connect(from, address)
	if err != nil {
		return nil, fmt.Errorf("dial the server: %w", err)
	}
	conn.SetDeadline(time.Now().Add(10 * time.Second))
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
	b := &browser{conn: conn, response: response, heard: make(chan event, 8192)}
	if response.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(response.Body)
		b.body = string(body)
		conn.Close()
		close(b.heard)
		return b, nil
	}
	go b.listen(reader)
	return b, nil
}

// connect makes a TCP connection from an address of this machine's, of which loopback has many; "" is any.
func connect(from, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	if from != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	return dialer.Dial("tcp", address)
}

func (b *browser) listen(reader *bufio.Reader) {
	defer close(b.heard)
	for {
		op, payload, err := readFrame(reader)
		if err != nil {
			return
		}
		now := time.Now()
		switch op {
		case opText:
			b.heard <- event{"text", string(payload), now}
		case opBinary:
			b.heard <- event{"binary", string(payload), now}
		case opPing:
			b.heard <- event{"ping", string(payload), now}
			b.write(opPong, payload)
		case opPong:
			b.heard <- event{"pong", string(payload), now}
		case opClose:
			b.heard <- event{"close", closeText(payload), now}
			if !b.deaf {
				b.write(opClose, payload)
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

func closePayload(code int, reason string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)
}

// send writes a text frame, masked as browsers mask.
func (b *browser) send(text string) error { return b.write(opText, []byte(text)) }

func (b *browser) write(op byte, payload []byte) error {
	return b.writeRaw(maskedFrame(0x80|op, payload))
}

func (b *browser) writeRaw(bytes []byte) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	b.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	_, err := b.conn.Write(bytes)
	return err
}

// next waits for the next thing the server says. At the end of the TCP connection the kind is "end".
func (b *browser) next(timeout time.Duration) (event, bool) {
	if e := b.kept; e != nil {
		b.kept = nil
		return *e, true
	}
	select {
	case e, open := <-b.heard:
		if !open {
			return event{kind: "end", at: time.Now()}, true
		}
		return e, true
	case <-time.After(timeout):
		return event{}, false
	}
}

func (b *browser) close() { b.conn.Close() }

func maskedFrame(first byte, payload []byte) []byte {
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

func readFrame(reader *bufio.Reader) (op byte, payload []byte, err error) {
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

const webSocketKey = "dGhlIHNhbXBsZSBub25jZQ=="

// webSocketAccept is what RFC 6455 wants as the answer to webSocketKey.
func webSocketAccept() string {
	sum := sha1.Sum([]byte(webSocketKey + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}
