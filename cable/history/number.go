package history

import (
	"encoding/binary"
	"encoding/hex"

	"github.com/catenary-cable/catenary/protocol"
)

// numberHead begins the trailer with the number of a broadcast: 64 bits each of the epoch and of the
// offset.
const numberHead = "\t \t \n\r\n\r"

// CutNumber returns a payload without its number, and the number. A payload without one is returned
// unchanged; its position's offset is 0.
func CutNumber(payload []byte) ([]byte, protocol.Position) {
	var number [16]byte
	rest, found := protocol.CutTrailer(payload, numberHead, number[:])
	if !found {
		return payload, protocol.Position{}
	}
	return rest, protocol.Position{
		Epoch: hex.EncodeToString(number[:8]), Offset: binary.BigEndian.Uint64(number[8:]),
	}
}
