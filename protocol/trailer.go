package protocol

import "strings"

// A trailer is what the gem adds to a broadcast, as whitespace after the payload: for Rails' own
// servers, and for all other subscribers, the payload remains the same JSON. It is a head, which
// names its kind, and then the data, two bits in each character, as an index of TrailerDigits.

// TrailerDigits are the four kinds of JSON's whitespace.
const TrailerDigits = " \t\n\r"

// CutTrailer reads a trailer with this head into data, and returns the payload without it. A payload
// that has none is returned unchanged, with false.
func CutTrailer(payload []byte, head string, data []byte) (rest []byte, found bool) {
	start := len(payload) - len(head) - 4*len(data)
	if start < 0 || strings.IndexByte(TrailerDigits, payload[len(payload)-1]) < 0 {
		return payload, false
	}
	trailer := payload[start:]
	if string(trailer[:len(head)]) != head {
		return payload, false
	}
	for i, c := range trailer[len(head):] {
		digit := strings.IndexByte(TrailerDigits, c)
		if digit < 0 {
			return payload, false
		}
		data[i/4] = data[i/4]<<2 | byte(digit)
	}
	return payload[:start], true
}
