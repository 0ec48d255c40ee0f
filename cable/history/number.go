package history

import (
	"encoding/binary"
	"encoding/hex"
	"strings"

	"github.com/catenary-cable/catenary/protocol"
)

// The number of a broadcast follows its payload, as whitespace: for Rails' own servers, and for all
// other subscribers, the payload remains the same JSON. It is numberHead, and then 64 bits each of the
// epoch and of the offset, two in each character, as an index of numberDigits.
const (
	numberHead   = "\t \t \n\r\n\r"
	numberDigits = " \t\n\r"
	numberBytes  = len(numberHead) + 64
)

// CutNumber returns a payload without its number, and the number. A payload without one is returned
// unchanged; its position's offset is 0.
func CutNumber(payload []byte) ([]byte, protocol.Position) {
	start := len(payload) - numberBytes
	if start < 0 || strings.IndexByte(numberDigits, payload[len(payload)-1]) < 0 {
		return payload, protocol.Position{}
	}
	number := payload[start:]
	if string(number[:len(numberHead)]) != numberHead {
		return payload, protocol.Position{}
	}
	var bytes [16]byte
	for i, c := range number[len(numberHead):] {
		digit := strings.IndexByte(numberDigits, c)
		if digit < 0 {
			return payload, protocol.Position{}
		}
		bytes[i/4] = bytes[i/4]<<2 | byte(digit)
	}
	return payload[:start], protocol.Position{
		Epoch: hex.EncodeToString(bytes[:8]), Offset: binary.BigEndian.Uint64(bytes[8:]),
	}
}
