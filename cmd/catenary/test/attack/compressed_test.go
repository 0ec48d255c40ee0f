package attack

import (
	"bytes"
	"compress/flate"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

func TestAttack_Compressed(t *testing.T) {
	v := startVictim(t, "--compression")
	v.attack("messages that inflate to gigabytes", bombs)
}

func bombs(v *victim) {
	bomb := func(size int) []byte {
		var squeezed bytes.Buffer
		w, _ := flate.NewWriter(&squeezed, flate.BestCompression)
		for megabyte := make([]byte, 1<<20); size > 0; size -= len(megabyte) {
			w.Write(megabyte[:min(size, len(megabyte))])
		}
		w.Flush()
		return stage.MaskedFrame(0xc0|stage.OpText, squeezed.Bytes()[:squeezed.Len()-4])
	}
	armed := func() *stage.Browser {
		b := v.connectFrom("127.0.5.1", "/cable", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
		v.Expect(b, stage.Welcome)
		return b
	}
	before := v.vitals()
	var all []*stage.Browser
	large := bomb(900 << 20) // compressed to less than 1 MB
	for range dose(10, 50) {
		b := armed()
		b.WriteRaw(large)
		all = append(all, b)
	}
	v.expectHeapBelow(before, 64<<20)
	for _, b := range all {
		if last := v.waitForEnd(b); last != "(close 1009)" {
			v.Errorf("a bomb: %s", last)
		}
	}
	b := armed() // many bombs just below the limit
	go b.Discard()
	flood(b, bytes.Repeat(bomb(1<<20), 50), dose(2, 40))
	b.Close()
	for name, payload := range map[string]string{"not deflate": "\xff\xff\xff\xff", "truncated": "\xaa", "empty": "", "endless stored blocks": strings.Repeat("\x00\x00\x00\xff\xff", 1000), "a distance before the start": "\x4b\x04\xff\x01"} {
		v.Log(name)
		b := armed()
		b.WriteRaw(stage.MaskedFrame(0xc0|stage.OpText, []byte(payload)))
		b.Write(stage.OpClose, stage.ClosePayload(1000, ""))
		v.waitForEnd(b)
	}
}
