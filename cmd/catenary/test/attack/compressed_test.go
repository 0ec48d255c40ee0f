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
	bomb := func(megabytes int) []byte {
		var squeezed bytes.Buffer
		w, _ := flate.NewWriter(&squeezed, flate.BestCompression)
		var parts [2][]byte
		for i := range parts { // from the second on, all megabytes look the same
			w.Write(make([]byte, 1<<20))
			w.Flush()
			parts[i] = bytes.Clone(squeezed.Bytes())
			squeezed.Reset()
		}
		payload := append(parts[0], bytes.Repeat(parts[1], megabytes-1)...)
		return stage.MaskedFrame(0xc0|stage.OpText, payload[:len(payload)-4])
	}
	armed := func() *stage.Browser {
		b := v.connectFrom("127.0.5.1", "/cable", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
		v.Expect(b, stage.Welcome)
		return b
	}
	before := v.vitals()
	var all []*stage.Browser
	large := bomb(900) // compressed to less than 1 MB
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
	flood(b, bytes.Repeat(bomb(1), 50), dose(2, 40))
	b.Close()
	for name, payload := range map[string]string{"not deflate": "\xff\xff\xff\xff", "truncated": "\xaa", "empty": "", "endless stored blocks": strings.Repeat("\x00\x00\x00\xff\xff", 1000), "a distance before the start": "\x4b\x04\xff\x01"} {
		v.Log(name)
		b := armed()
		b.WriteRaw(stage.MaskedFrame(0xc0|stage.OpText, []byte(payload)))
		b.Write(stage.OpClose, stage.ClosePayload(1000, ""))
		v.waitForEnd(b)
	}
}
