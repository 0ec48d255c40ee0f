package socket

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"net/http"
	"strings"
	"sync"
)

// permessage-deflate (RFC 7692) without context takeover in either direction: a compressed frame
// depends on no earlier one, so all connections that get it can share it. gorilla/websocket
// decompresses what we read; we compress ourselves.

const (
	// deflateFrom is the length of the shortest payload that is compressed, in bytes.
	deflateFrom = 512

	// deflated is the bit RSV1, which marks a compressed message.
	deflated = 0x40
)

// offersDeflate reports whether a browser offers compression that we support: any but a smaller
// window on our side, which no browser asks for.
func offersDeflate(r *http.Request) bool {
	offers := strings.Join(r.Header.Values("Sec-WebSocket-Extensions"), ",")
	if strings.Contains(offers, "server_max_window_bits") {
		return false
	}
	for offer := range strings.SplitSeq(offers, ",") {
		name, _, _ := strings.Cut(offer, ";")
		if strings.TrimSpace(name) == "permessage-deflate" {
			return true
		}
	}
	return false
}

// Deflate takes a sequence of text frames and compresses the long ones, if that makes them shorter.
func Deflate(frames []byte) []byte {
	if len(frames) < deflateFrom {
		return frames
	}
	out := make([]byte, 0, len(frames))
	for len(frames) > 0 {
		head, size := readFrameHead(frames)
		whole := frames[:head+size]
		frames = frames[head+size:]
		payload := whole[head:]
		if size >= deflateFrom {
			payload = compress(payload)
		}
		if len(payload) < size {
			out = appendFrameHead(out, textFrame|deflated, len(payload))
			out = append(out, payload...)
		} else {
			out = append(out, whole...)
		}
	}
	return out
}

// readFrameHead returns the lengths of a frame's header and payload.
func readFrameHead(frame []byte) (head, size int) {
	switch size := int(frame[1]); size {
	case 126:
		return 4, int(binary.BigEndian.Uint16(frame[2:]))
	case 127:
		return 10, int(binary.BigEndian.Uint64(frame[2:]))
	default:
		return 2, size
	}
}

// compress compresses a payload up to a flush, without the last four bytes (RFC 7692, section
// 7.2.1).
func compress(payload []byte) []byte {
	var out bytes.Buffer
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	w.Reset(&out)
	w.Write(payload) // neither can fail in memory
	w.Flush()
	return out.Bytes()[:out.Len()-4]
}

// deflaters hold 1.2 MB each. There are as many as goroutines that compress at the same time.
var deflaters = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, flate.BestSpeed) // fails for an invalid level only
	return w
}}
