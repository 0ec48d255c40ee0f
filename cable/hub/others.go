package hub

import (
	"encoding/binary"

	"github.com/catenary-cable/catenary/cable/history"
	"github.com/catenary-cable/catenary/cable/socket"
	"github.com/catenary-cable/catenary/protocol"
)

// markHead begins the trailer of a broadcast that leaves out one page, usually the one that has
// caused it (others.rb): the 64 bits of a socket.Page.
const markHead = "\t \t \r\n\r\n"

// CutPage returns a payload without its mark, and the page that the mark leaves out. A payload
// without a mark is returned unchanged, with 0.
func CutPage(payload []byte) ([]byte, socket.Page) {
	var page [8]byte
	rest, found := protocol.CutTrailer(payload, markHead, page[:])
	if !found {
		return payload, 0
	}
	return rest, socket.Page(binary.BigEndian.Uint64(page[:]))
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
		payload, except := CutPage(payload)
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
