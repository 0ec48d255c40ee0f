package socket

import (
	"encoding/binary"

	"github.com/gorilla/websocket"
)

// WebSocket opcodes of the frames that we write (RFC 6455, section 5.2), with the FIN bit.
const (
	textFrame  = 0x81
	closeFrame = 0x88
	pingFrame  = 0x89
	pongFrame  = 0x8a
)

// AppendTextHead appends the header of an unmasked text frame for size bytes. We build frames
// ourselves, instead of gorilla/websocket, because all connections that get a frame share it.
func AppendTextHead(b []byte, size int) []byte { return appendFrameHead(b, textFrame, size) }

func appendFrameHead(b []byte, opcode byte, size int) []byte {
	switch {
	case size < 126:
		return append(b, opcode, byte(size))
	case size < 1<<16:
		return append(b, opcode, 126, byte(size>>8), byte(size))
	}
	return binary.BigEndian.AppendUint64(append(b, opcode, 127), uint64(size))
}

// Text returns a text frame.
func Text[T string | []byte](payload T) []byte { return frame(textFrame, payload) }

func frame[T string | []byte](opcode byte, payload T) []byte {
	return append(appendFrameHead(make([]byte, 0, len(payload)+10), opcode, len(payload)), payload...)
}

func closing(code int, text string) []byte {
	return frame(closeFrame, websocket.FormatCloseMessage(code, text))
}
