package hub

import (
	"strings"

	"github.com/catenary-cable/catenary/cable/history"
	"github.com/catenary-cable/catenary/cable/socket"
	"github.com/catenary-cable/catenary/protocol"
)

// A broadcast may leave out one page, usually the one that has caused it. The gem then appends a
// mark to the payload (others.rb), as whitespace: for Rails' own servers, and for every other
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

// marks are those of a batch, by the payload's index; nil if no payload has a mark or a number.
type marks []mark

type mark struct {
	except   socket.Page       // 0: none
	position protocol.Position // its offset is 0 if there is none
}

// cutMarks cuts marks and numbers off the payloads of a batch.
func cutMarks(batch [][]byte) (found marks) {
	for i := range batch {
		payload, position := history.CutNumber(batch[i])
		payload, except := cutMark(payload)
		if len(payload) == len(batch[i]) {
			continue
		}
		if found == nil {
			found = make(marks, len(batch))
		}
		batch[i] = payload
		found[i] = mark{except, position}
	}
	return found
}

func (m marks) of(i int) mark {
	if m == nil {
		return mark{}
	}
	return m[i]
}

// run returns how many payloads in a row, from start on and before end, leave out the same page, and
// which page.
func (m marks) run(start, end int) (n int, except socket.Page) {
	if m == nil {
		return end - start, 0
	}
	except = m[start].except
	for n = 1; start+n < end && m[start+n].except == except; n++ {
	}
	return n, except
}

// CutPage returns a payload without its mark, and the page that it leaves out; 0: none.
func CutPage(payload []byte) ([]byte, socket.Page) { return cutMark(payload) }
