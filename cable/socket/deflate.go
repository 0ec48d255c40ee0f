package socket

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"net/http"
	"strings"
	"sync"
)

// permessage-deflate (RFC 7692), without context takeover either way: so a
// compressed frame depends on nothing that was sent before, and all who get it
// share it. gorilla/websocket agrees to it, and reads; frames are ours.

const (
	// deflateFrom is the shortest payload worth the browser's and our time.
	deflateFrom = 512

	// deflated marks a compressed message in its first frame.
	deflated = 0x40
)

// offersDeflate reports whether a browser offers what we can agree to. The only thing
// that we cannot is a smaller window on our side, for which no browser asks.
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

// Deflate returns text frames as we write them with the long ones among them
// compressed, if that makes them shorter.
func Deflate(frames []byte) []byte {
	if len(frames) < deflateFrom {
		return frames
	}
	out := make([]byte, 0, len(frames))
	for len(frames) > 0 {
		head, size := readFrameHead(frames)
		whole := frames[:head+size]
		frames = frames[head+size:]
		short := whole[head:]
		if size >= deflateFrom {
			short = squeeze(short)
		}
		if len(short) < size {
			out = append(appendFrameHead(out, textFrame|deflated, len(short)), short...)
		} else {
			out = append(out, whole...)
		}
	}
	return out
}

// readFrameHead is appendFrameHead's reverse.
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

// squeeze compresses a payload: up to a flush, whose last four bytes are left
// out.
func squeeze(payload []byte) []byte {
	var out bytes.Buffer
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	w.Reset(&out)
	w.Write(payload) // to memory: neither can fail
	w.Flush()
	return out.Bytes()[:out.Len()-4]
}

// deflaters hold 1.2 MB each, and there are few: one for each
// goroutine that compresses at the same time.
var deflaters = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, flate.BestSpeed) // a level that there is
	return w
}}
