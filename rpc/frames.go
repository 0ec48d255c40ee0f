package rpc

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
)

// frameLimit is the longest JSON of a frame, in bytes. It is part of the protocol.
const frameLimit = 32 << 20

// keptBuffer is the most memory, in bytes, that a link keeps for the next frame.
const keptBuffer = 256 << 10

// frameMAC authenticates the frames of one direction and their order.
type frameMAC struct {
	mac    hash.Hash
	number [8]byte // of the next frame, from 0
	sum    [sha256.Size]byte
}

func newFrameMAC(linkKey []byte, sender string) *frameMAC {
	return &frameMAC{mac: hmac.New(sha256.New, mac(linkKey, sender))}
}

// next returns the MAC of the next frame. It is valid until the next call.
func (m *frameMAC) next(text []byte) []byte {
	m.mac.Reset()
	m.mac.Write(m.number[:])
	m.mac.Write(text)
	binary.BigEndian.PutUint64(m.number[:], binary.BigEndian.Uint64(m.number[:])+1)
	return m.mac.Sum(m.sum[:0])
}

// beginFrame appends room for the length of a frame. The caller appends the JSON and calls
// endFrame.
func beginFrame(b []byte) []byte { return append(b, 0, 0, 0, 0) }

// endFrame completes the frame that begins at start, with a MAC unless m is nil. If the frame is
// too long, it returns b without it.
func endFrame(b []byte, start int, m *frameMAC) ([]byte, error) {
	text := b[start+4:]
	if len(text) > frameLimit {
		return b[:start], fmt.Errorf("frame of %d bytes exceeds the limit of %d", len(text), frameLimit)
	}
	binary.BigEndian.PutUint32(b[start:], uint32(len(text)))
	if m != nil {
		b = append(b, m.next(text)...)
	}
	return b, nil
}

// frameReader reads the frames of one link.
type frameReader struct {
	from   *bufio.Reader
	mac    *frameMAC // nil: frames are plain
	buffer []byte
}

var errForged = errors.New("wrong MAC on a frame")

// next returns the JSON of the next frame. It is valid until the next call.
func (r *frameReader) next() ([]byte, error) {
	var head [4]byte
	_, err := io.ReadFull(r.from, head[:])
	if err != nil {
		return nil, err
	}
	length := int(binary.BigEndian.Uint32(head[:]))
	if length > frameLimit {
		return nil, fmt.Errorf("announced frame of %d bytes exceeds the limit of %d", length, frameLimit)
	}
	if cap(r.buffer) > keptBuffer && length < keptBuffer {
		r.buffer = nil
	}
	text, err := r.read(r.buffer[:0], length)
	if err != nil {
		return nil, fmt.Errorf("in the middle of a frame: %w", err)
	}
	r.buffer = text
	if r.mac != nil {
		var sum [sha256.Size]byte
		_, err = io.ReadFull(r.from, sum[:])
		if err != nil {
			return nil, fmt.Errorf("in the middle of a frame: %w", err)
		}
		if !hmac.Equal(sum[:], r.mac.next(text)) {
			return nil, errForged
		}
	}
	return text, nil
}

// read reads length bytes into b. It grows b only as bytes arrive, since the length may be wrong.
func (r *frameReader) read(b []byte, length int) ([]byte, error) {
	for len(b) < length {
		chunk := min(length-len(b), 64<<10)
		at := len(b)
		if cap(b)-at < chunk {
			b = append(b, make([]byte, chunk)...)
		} else {
			b = b[:at+chunk]
		}
		_, err := io.ReadFull(r.from, b[at:])
		if err != nil {
			return b[:0], err
		}
	}
	return b, nil
}
