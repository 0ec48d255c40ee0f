package broadcast

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
)

var errProtocol = errors.New("unexpected reply from Redis")

// push is a message from Redis to a subscriber. kind and name are valid until the next read; the
// caller owns the payload.
type push struct {
	kind    []byte // message, subscribe, unsubscribe, pong, error
	name    []byte // the topic, or the text of an error
	payload []byte // of a message; nil if it was larger than allowed
	size    int    // of the payload as sent, in bytes
}

// pushReader reads what Redis sends to a RESP2 subscriber, with one allocation per message: the
// payload. go-redis' PubSub makes nine and takes more than twice as long (see the benchmarks).
type pushReader struct {
	r          *bufio.Reader
	maxPayload int
	kind, name []byte // reused
}

func newPushReader(r io.Reader, maxPayload int) *pushReader {
	return &pushReader{r: bufio.NewReaderSize(r, 64<<10), maxPayload: maxPayload}
}

func (p *pushReader) read() (push, error) {
	mark, line, err := p.line()
	if err != nil {
		return push{}, err
	}
	switch mark {
	case '-':
		p.kind = append(p.kind[:0], "error"...)
		p.name = append(p.name[:0], line...)
		return push{kind: p.kind, name: p.name}, nil
	case '+': // PONG before the first SUBSCRIBE
		p.kind = append(p.kind[:0], "pong"...)
		p.name = append(p.name[:0], line...)
		return push{kind: p.kind, name: p.name}, nil
	case '*':
	default:
		return push{}, fmt.Errorf("%w: a line starting with %q", errProtocol, mark)
	}
	n, err := number(line)
	if err != nil {
		return push{}, err
	}
	if n != 2 && n != 3 {
		return push{}, fmt.Errorf("%w: an array of %d elements", errProtocol, n)
	}
	p.kind, err = p.short(p.kind)
	if err != nil {
		return push{}, err
	}
	p.name, err = p.short(p.name)
	if err != nil {
		return push{}, err
	}
	message := push{kind: p.kind, name: p.name}
	if n == 3 {
		message.payload, message.size, err = p.last()
	}
	return message, err
}

// line reads a line up to CRLF: its type byte and the rest, which is valid until the next read.
func (p *pushReader) line() (mark byte, rest []byte, err error) {
	line, err := p.r.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, bufio.ErrBufferFull) {
			err = fmt.Errorf("%w: a line without end", errProtocol)
		}
		return 0, nil, err
	}
	if len(line) < 3 || line[len(line)-2] != '\r' {
		return 0, nil, fmt.Errorf("%w: a line without CRLF", errProtocol)
	}
	return line[0], line[1 : len(line)-2], nil
}

// short reads a kind or a topic into dst. A null (UNSUBSCRIBE without topics) is read as empty.
func (p *pushReader) short(dst []byte) ([]byte, error) {
	n, err := p.bulk()
	if err != nil || n < 0 {
		return dst[:0], err
	}
	if n > p.maxPayload {
		return dst[:0], fmt.Errorf("%w: a topic of %d bytes", errProtocol, n)
	}
	if cap(dst) < n {
		dst = make([]byte, n)
	}
	dst = dst[:n]
	_, err = io.ReadFull(p.r, dst)
	if err != nil {
		return dst, err
	}
	_, err = p.r.Discard(2)
	return dst, err
}

// last reads the third element: a payload, or the number of subscriptions, which is ignored.
func (p *pushReader) last() (payload []byte, size int, err error) {
	mark, err := p.r.Peek(1)
	if err != nil {
		return nil, 0, err
	}
	if mark[0] == ':' {
		_, _, err = p.line()
		return nil, 0, err
	}
	n, err := p.bulk()
	if err != nil {
		return nil, 0, err
	}
	if n < 0 {
		return nil, 0, fmt.Errorf("%w: a null payload", errProtocol)
	}
	if n > p.maxPayload {
		_, err = p.r.Discard(n + 2)
		return nil, n, err
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(p.r, payload)
	if err != nil {
		return nil, n, err
	}
	_, err = p.r.Discard(2)
	return payload, n, err
}

// bulk reads the length of a bulk string.
func (p *pushReader) bulk() (int, error) {
	mark, line, err := p.line()
	if err != nil {
		return 0, err
	}
	if mark != '$' {
		return 0, fmt.Errorf("%w: %q instead of a bulk string", errProtocol, mark)
	}
	return number(line)
}

// number parses a length; -1 is RESP2's null.
func number(digits []byte) (int, error) {
	if len(digits) == 2 && digits[0] == '-' && digits[1] == '1' {
		return -1, nil
	}
	n := 0
	for _, d := range digits {
		if d < '0' || d > '9' || n > 1<<31 {
			return 0, fmt.Errorf("%w: %s is not a valid length", errProtocol, strconv.Quote(string(digits)))
		}
		n = n*10 + int(d-'0')
	}
	return n, nil
}
