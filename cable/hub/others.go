package hub

import (
	"strings"

	"github.com/catenary-cable/catenary/cable/socket"
)

// A broadcast may leave out one page, usually the one that has caused it. The gem then appends a
// mark to the payload (others.rb), in whitespace: for Rails' own servers, and for every other
// subscriber, the payload remains the same JSON.
//
// A mark is markHead and the 64 bits of a socket.Page, two in each character, as an index of
// markDigits.
const (
	markHead   = "\t \t \r\n\r\n"
	markDigits = " \t\n\r"
	markBytes  = len(markHead) + 32
)

// cutMark returns a payload without its mark, and the page that the mark leaves out. A payload
// without a mark is returned unchanged, with 0.
func cutMark(payload []byte) ([]byte, socket.Page) {
	start := len(payload) - markBytes
	if start < 0 || strings.IndexByte(markDigits, payload[len(payload)-1]) < 0 {
		return payload, 0
	}
	mark := payload[start:]
	if string(mark[:len(markHead)]) != markHead {
		return payload, 0
	}
	var page socket.Page
	for _, c := range mark[len(markHead):] {
		digit := strings.IndexByte(markDigits, c)
		if digit < 0 {
			return payload, 0
		}
		page = page<<2 | socket.Page(digit)
	}
	return payload[:start], page
}

// nextRun takes off a batch what can be sent together: payloads without a mark, or one with a mark,
// which it cuts off. except is the page that the latter leaves out, otherwise 0.
func nextRun(batch [][]byte) (run [][]byte, except socket.Page, rest [][]byte) {
	for n := range batch {
		payload, page := cutMark(batch[n])
		switch {
		case page == 0:
		case n == 0:
			return [][]byte{payload}, page, batch[1:]
		default:
			return batch[:n], 0, batch[n:]
		}
	}
	return batch, 0, nil
}
