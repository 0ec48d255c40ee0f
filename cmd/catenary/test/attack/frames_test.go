package attack

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

func TestAttack_Frames(t *testing.T) {
	v := startVictim(t)
	v.attack("binary messages of 1 MB", binaryWithoutEnd)
	v.attack("fragments of one byte", tinyFragments)
	v.attack("empty fragments without end", emptyFragments)
	v.attack("pings without end", pingsWithoutEnd)
	v.attack("headers that announce payloads that never come", hugeAnnouncements)
	v.attack("protocol errors", brokenFrames)
	patient := v.another("--limits-message-timeout", "4s")
	patient.attack("a byte a second", byteBySecond)
	patient.attack("half a frame header, and then nothing", incompleteHeaders)
	v.attack("a ping, and then nothing", idleAfterPing)
	v.attack("compressed messages without compression", uninvitedCompression)
}

// flood writes the same bytes a number of times, and stops when the connection ends.
func flood(b *stage.Browser, chunk []byte, chunks int) {
	for range chunks {
		if b.WriteRaw(chunk) != nil {
			return
		}
	}
}

func binaryWithoutEnd(v *victim) {
	b := v.open("127.0.3.1")
	go b.Discard()
	flood(b, stage.MaskedFrame(0x80|stage.OpBinary, make([]byte, 1<<20)), dose(100, 2000))
	b.Close()
	long := v.open("127.0.3.1")
	long.WriteRaw(stage.MaskedFrame(0x80|stage.OpBinary, make([]byte, 1<<20+1)))
	if last := v.waitForEnd(long); last != "(close 1009)" {
		v.Errorf("a message over the limit: %s", last)
	}
}

// tinyFragments sends a message in frames of one byte each.
func tinyFragments(v *victim) {
	b := v.open("127.0.3.2")
	b.WriteRaw(stage.MaskedFrame(stage.OpText, []byte("[")))
	flood(b, bytes.Repeat(stage.MaskedFrame(0, []byte("1")), 10_000), 200)
	if last := v.waitForEnd(b); last != "(close 1009)" {
		v.Errorf("after two million bytes: %s", last)
	}
}

// emptyFragments sends a message that never grows.
func emptyFragments(v *victim) {
	b := v.open("127.0.3.3")
	b.WriteRaw(stage.MaskedFrame(stage.OpText, nil))
	flood(b, bytes.Repeat(stage.MaskedFrame(0, nil), 10_000), dose(200, 5000))
	b.Close()
}

func pingsWithoutEnd(v *victim) {
	for _, op := range []byte{stage.OpPing, stage.OpPong} {
		b := v.open("127.0.3.4")
		go b.Discard()
		go func() {
			defer b.Close()
			flood(b, bytes.Repeat(stage.MaskedFrame(0x80|op, []byte("x")), 1000), dose(100, 1000))
		}()
	}
	time.Sleep(time.Duration(dose(3, 20)) * time.Second)
}

// hugeAnnouncements sends frame headers whose payloads would fill the memory.
func hugeAnnouncements(v *victim) {
	var all []*stage.Browser
	for _, size := range []uint64{1<<20 + 1, 1 << 31, 1<<32 + 5, 1 << 40, 1<<63 - 1, 1 << 63, 1<<64 - 1} {
		for _, op := range []byte{stage.OpText, stage.OpBinary, stage.OpClose, stage.OpPing} {
			b := v.open("127.0.3.5")
			b.WriteRaw(append(binary.BigEndian.AppendUint64([]byte{0x80 | op, 0x80 | 127}, size), 1, 2, 3, 4, 'x'))
			all = append(all, b)
		}
	}
	for _, b := range all {
		if last := v.waitForEnd(b); last != "" && last != "(close 1009)" && !strings.HasPrefix(last, "(close 1002") {
			v.Errorf("the connection ended with %s", last)
		}
	}
	// Payloads that are allowed, of which only a byte comes.
	before := v.vitals()
	for range dose(50, 400) {
		b := v.open("127.0.3.6")
		b.WriteRaw(append(binary.BigEndian.AppendUint64([]byte{0x80 | stage.OpText, 0x80 | 127}, 1<<20), 1, 2, 3, 4, 'x'))
	}
	v.expectHeapBelow(before, 32<<20)
}

func brokenFrames(v *victim) {
	all := map[string]*stage.Browser{}
	for name, raw := range map[string][]byte{
		"not masked":                        {0x81, 0x01, 'x'},
		"a reserved opcode":                 stage.MaskedFrame(0x80|0x3, nil),
		"a reserved control opcode":         stage.MaskedFrame(0x80|0xB, nil),
		"a continuation of nothing":         stage.MaskedFrame(0x80, []byte("x")),
		"a ping in parts":                   stage.MaskedFrame(stage.OpPing, []byte("x")),
		"a long ping":                       stage.MaskedFrame(0x80|stage.OpPing, make([]byte, 126)),
		"a message in a message":            append(stage.MaskedFrame(stage.OpText, []byte("x")), stage.MaskedFrame(0x80|stage.OpText, []byte("x"))...),
		"a close of one byte, then nothing": stage.MaskedFrame(0x80|stage.OpClose, stage.ClosePayload(1005, "")),
	} {
		all[name] = v.open("127.0.3.7")
		all[name].WriteRaw(raw)
	}
	for name, b := range all {
		if last := v.waitForEnd(b); !strings.HasPrefix(last, "(close 1002") {
			v.Errorf("%s: %s", name, last)
		}
	}
}

// byteBySecond sends a message that never ends.
func byteBySecond(v *victim) {
	b := v.open("127.0.3.8")
	b.WriteRaw([]byte{0x81, 0xfe, 0xff, 0xff, 1, 2, 3, 4})
	if !v.closesDuring(b, func() { b.WriteRaw([]byte("x")) }) {
		v.Error("the message goes on forever")
	}
}

// incompleteHeaders sends incomplete frame headers.
func incompleteHeaders(v *victim) {
	heads := []string{"\x81", "\x81\xfe\x01", "\x89\x82\x01", "\x89\x80\x01\x02\x03\x04\x81", "\x88"}
	n, before := dose(60, 500), slowEnds(v.Scrape())
	for i := range n {
		v.open("127.0.3.10").WriteRaw([]byte(heads[i%len(heads)]))
	}
	v.waitForCount("browsers disconnected as slow", slowEnds, before+float64(n))
}

// idleAfterPing opens connections that send one ping. They must cost no more than idle ones.
func idleAfterPing(v *victim) {
	n, before := dose(100, 1000), v.vitals()
	for i := range n {
		b := v.open(fmt.Sprintf("127.0.11.%d", 1+i%10)) // a thousand from one address would be too many a second
		b.WriteRaw(stage.MaskedFrame(0x80|stage.OpPing, []byte("x")))
		v.Expect(b, "(pong x)")
	}
	err := v.Nodes[0].Process.WaitFor(func() error {
		if held := v.vitals().goroutines - before.goroutines; held > 20 {
			return fmt.Errorf("%d browsers hold %v goroutines", n, held)
		}
		return nil
	})
	if err != nil {
		v.Error(err)
	}
}

// closesDuring reports whether the server ends the connection while the client sends something
// every second.
func (v *victim) closesDuring(b *stage.Browser, again func()) bool {
	ended := make(chan bool)
	go func() { b.Discard(); close(ended) }()
	for began := time.Now(); time.Since(began) < stage.Patience; {
		select {
		case <-ended:
			return true
		case <-time.After(time.Second):
			again()
		}
	}
	return false
}

// uninvitedCompression sends compressed messages without having negotiated compression.
func uninvitedCompression(v *victim) {
	all := map[byte]*stage.Browser{}
	for _, reserved := range []byte{0x40, 0x20, 0x10, 0x70} {
		b := v.connectFrom("127.0.3.9", "/cable", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
		v.Expect(b, stage.Welcome)
		if agreed := b.Response.Header.Get("Sec-WebSocket-Extensions"); agreed != "" {
			v.Errorf("the server agreed to %s", agreed)
		}
		b.WriteRaw(stage.MaskedFrame(0x80|reserved|stage.OpText, []byte("\xaa\x06\x00")))
		all[reserved] = b
	}
	for reserved, b := range all {
		if last := v.waitForEnd(b); !strings.HasPrefix(last, "(close 1002") {
			v.Errorf("reserved bits %x: %s", reserved, last)
		}
	}
}
