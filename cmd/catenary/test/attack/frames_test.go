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
	v.attack("of 1 MB that are no text", binaryWithoutEnd)
	v.attack("with one byte each", tinyFragments)
	v.attack("that are empty and continue", emptyFragments)
	v.attack("pings without end", pingsWithoutEnd)
	v.attack("that announce what never comes", announcements)
	v.attack("that break the rules", brokenFrames)
	patient := v.another("--limits-message-timeout", "4s")
	patient.attack("a byte a second", byteBySecond)
	patient.attack("half a head, and then nothing", halfHeads)
	v.attack("a ping, and then nothing", silentPings)
	v.attack("that are bombs when inflated", bombsUninvited)
}

// flood writes the same bytes without end for a while, or until the server has enough.
func flood(b *stage.Browser, chunk []byte, chunks int) {
	for range chunks {
		if b.WriteRaw(chunk) != nil {
			return
		}
	}
}

func binaryWithoutEnd(v *victim) {
	b := v.welcomed("127.0.3.1")
	go b.Discard()
	flood(b, stage.MaskedFrame(0x80|stage.OpBinary, make([]byte, 1<<20)), dose(100, 2000))
	b.Close()
	long := v.welcomed("127.0.3.1")
	long.WriteRaw(stage.MaskedFrame(0x80|stage.OpBinary, make([]byte, 1<<20+1)))
	if last := v.ends(long); last != "(close 1009)" {
		v.Errorf("a message over the limit: %s", last)
	}
}

// tinyFragments make a message, of which every byte is a frame.
func tinyFragments(v *victim) {
	b := v.welcomed("127.0.3.2")
	b.WriteRaw(stage.MaskedFrame(stage.OpText, []byte("[")))
	flood(b, bytes.Repeat(stage.MaskedFrame(0, []byte("1")), 10_000), 200)
	if last := v.ends(b); last != "(close 1009)" {
		v.Errorf("after two million bytes: %s", last)
	}
}

// emptyFragments make a message that never gets longer.
func emptyFragments(v *victim) {
	b := v.welcomed("127.0.3.3")
	b.WriteRaw(stage.MaskedFrame(stage.OpText, nil))
	flood(b, bytes.Repeat(stage.MaskedFrame(0, nil), 10_000), dose(200, 5000))
	b.Close()
}

func pingsWithoutEnd(v *victim) {
	for _, op := range []byte{stage.OpPing, stage.OpPong} {
		b := v.welcomed("127.0.3.4")
		go b.Discard()
		go func() {
			defer b.Close()
			flood(b, bytes.Repeat(stage.MaskedFrame(0x80|op, []byte("x")), 1000), dose(100, 1000))
		}()
	}
	time.Sleep(time.Duration(dose(3, 20)) * time.Second)
}

// announcements are heads of frames whose payload would fill the memory.
func announcements(v *victim) {
	var all []*stage.Browser
	for _, size := range []uint64{1<<20 + 1, 1 << 31, 1<<32 + 5, 1 << 40, 1<<63 - 1, 1 << 63, 1<<64 - 1} {
		for _, op := range []byte{stage.OpText, stage.OpBinary, stage.OpClose, stage.OpPing} {
			b := v.welcomed("127.0.3.5")
			b.WriteRaw(append(binary.BigEndian.AppendUint64([]byte{0x80 | op, 0x80 | 127}, size), 1, 2, 3, 4, 'x'))
			all = append(all, b)
		}
	}
	for _, b := range all {
		if last := v.ends(b); last != "" && last != "(close 1009)" && !strings.HasPrefix(last, "(close 1002") {
			v.Errorf("it ended with %s", last)
		}
	}
	// Half of them, kept.
	before := v.vitals()
	for range dose(50, 400) {
		b := v.welcomed("127.0.3.6")
		b.WriteRaw(append(binary.BigEndian.AppendUint64([]byte{0x80 | stage.OpText, 0x80 | 127}, 1<<20), 1, 2, 3, 4, 'x'))
	}
	v.staysBelow(before, 32<<20)
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
		all[name] = v.welcomed("127.0.3.7")
		all[name].WriteRaw(raw)
	}
	for name, b := range all {
		if last := v.ends(b); !strings.HasPrefix(last, "(close 1002") {
			v.Errorf("%s: %s", name, last)
		}
	}
}

// byteBySecond sends a message so slowly that it never ends.
func byteBySecond(v *victim) {
	b := v.welcomed("127.0.3.8")
	b.WriteRaw([]byte{0x81, 0xfe, 0xff, 0xff, 1, 2, 3, 4})
	if !v.endsWhile(b, func() { b.WriteRaw([]byte("x")) }) {
		v.Error("a message goes on for ever")
	}
}

// halfHeads are the beginnings of frames.
func halfHeads(v *victim) {
	heads := []string{"\x81", "\x81\xfe\x01", "\x89\x82\x01", "\x89\x80\x01\x02\x03\x04\x81", "\x88"}
	n, before := dose(60, 500), slowEnds(v.Scrape())
	for i := range n {
		v.welcomed("127.0.3.10").WriteRaw([]byte(heads[i%len(heads)]))
	}
	v.reaches("browsers that are given up", slowEnds, before+float64(n))
}

// silentPings are from browsers of which nothing more comes: they cost what idle ones do.
func silentPings(v *victim) {
	n, before := dose(100, 1000), v.vitals()
	for range n {
		b := v.welcomed("127.0.3.11")
		b.WriteRaw(stage.MaskedFrame(0x80|stage.OpPing, []byte("x")))
		v.Expect(b, "(pong x)")
	}
	err := v.Nodes[0].Process.WaitFor(func() error {
		if held := v.vitals().goroutines - before.goroutines; held > 20 {
			return fmt.Errorf("%v goroutines are held by %d browsers", held, n)
		}
		return nil
	})
	if err != nil {
		v.Error(err)
	}
}

// endsWhile reports whether the server ends the connection although the client goes on, every second.
func (v *victim) endsWhile(b *stage.Browser, again func()) bool {
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

// bombsUninvited come compressed though nothing was agreed.
func bombsUninvited(v *victim) {
	all := map[byte]*stage.Browser{}
	for _, reserved := range []byte{0x40, 0x20, 0x10, 0x70} {
		b := v.from("127.0.3.9", "/cable", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
		v.Expect(b, stage.Welcome)
		if agreed := b.Response.Header.Get("Sec-WebSocket-Extensions"); agreed != "" {
			v.Errorf("agreed to %s", agreed)
		}
		b.WriteRaw(stage.MaskedFrame(0x80|reserved|stage.OpText, []byte("\xaa\x06\x00")))
		all[reserved] = b
	}
	for reserved, b := range all {
		if last := v.ends(b); !strings.HasPrefix(last, "(close 1002") {
			v.Errorf("reserved bits %x: %s", reserved, last)
		}
	}
}
