package cable

import "encoding/binary"

// WebSocket opcodes of the frames that we write (RFC 6455, section 5.2), with
// the bit that says that the message ends with this frame.
const (
	textFrame  = 0x81
	closeFrame = 0x88
	pongFrame  = 0x8a
)

// appendFrameHead writes the head of an unmasked frame for size bytes. Frames
// are written by us and not by gorilla/websocket, because one frame is shared
// by all connections that get it.
func appendFrameHead(b []byte, opcode byte, size int) []byte {
	switch {
	case size < 126:
		return append(b, opcode, byte(size))
	case size < 1<<16:
		return append(b, opcode, 126, byte(size>>8), byte(size))
	}
	return binary.BigEndian.AppendUint64(append(b, opcode, 127), uint64(size))
}

func frame[T string | []byte](opcode byte, payload T) []byte {
	return append(appendFrameHead(make([]byte, 0, len(payload)+10), opcode, len(payload)), payload...)
}

// closing is a close frame's payload: code 1000 unless the browser gave another.
func closing(code int) []byte {
	return frame(closeFrame, binary.BigEndian.AppendUint16(nil, uint16(code)))
}
