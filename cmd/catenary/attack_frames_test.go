package main

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"time"
)

func TestAttack_Frames(t *testing.T) {
	v := startVictim(t, "--limits-message-timeout", "4s")
	v.attack("of 1 MB that are no text", binaryWithoutEnd)
	v.attack("with one byte each", tinyFragments)
	v.attack("that are empty and continue", emptyFragments)
	v.attack("pings without end", pingsWithoutEnd)
	v.attack("that announce what never comes", announcements)
	v.attack("that break the rules", brokenFrames)
	v.attack("a byte a second", byteBySecond)
	v.attack("that are bombs when inflated", bombsUninvited)
}

// flood writes the same bytes without end for a while, or until the server has enough.
func flood(b *browser, chunk []byte, chunks int) {
	for range chunks {
		if b.writePatiently(chunk) != nil {
			return
		}
	}
}

func binaryWithoutEnd(v *victim) {
	b := v.welcomed("127.0.3.1")
	go b.ignore()
	flood(b, maskedFrame(0x80|opBinary, make([]byte, 1<<20)), dose(100, 2000))
	b.close()
	long := v.welcomed("127.0.3.1")
	long.writePatiently(maskedFrame(0x80|opBinary, make([]byte, 1<<20+1)))
	if last := v.ends(long); last != "(close 1009)" {
		v.Errorf("a message over the limit: %s", last)
	}
}

// tinyFragments make a message, of which every byte is a frame.
func tinyFragments(v *victim) {
	b := v.welcomed("127.0.3.2")
	b.writePatiently(maskedFrame(opText, []byte("[")))
	flood(b, bytes.Repeat(maskedFrame(0, []byte("1")), 10_000), 200)
	if last := v.ends(b); last != "(close 1009)" {
		v.Errorf("after two million bytes: %s", last)
	}
}

// emptyFragments make a message that never gets longer.
func emptyFragments(v *victim) {
	b := v.welcomed("127.0.3.3")
	b.writePatiently(maskedFrame(opText, nil))
	flood(b, bytes.Repeat(maskedFrame(0, nil), 10_000), dose(200, 5000))
	b.close()
}

func pingsWithoutEnd(v *victim) {
	for _, op := range []byte{opPing, opPong} {
		b := v.welcomed("127.0.3.4")
		go b.ignore()
		go func() {
			defer b.close()
			flood(b, bytes.Repeat(maskedFrame(0x80|op, []byte("x")), 1000), dose(100, 1000))
		}()
	}
	time.Sleep(time.Duration(dose(3, 20)) * time.Second)
}

// announcements are heads of frames whose payload would fill the memory.
func announcements(v *victim) {
	var all []*browser
	for _, size := range []uint64{1<<20 + 1, 1 << 31, 1<<32 + 5, 1 << 40, 1<<63 - 1, 1 << 63, 1<<64 - 1} {
		for _, op := range []byte{opText, opBinary, opClose, opPing} {
			b := v.welcomed("127.0.3.5")
			b.writeRaw(append(binary.BigEndian.AppendUint64([]byte{0x80 | op, 0x80 | 127}, size), 1, 2, 3, 4, 'x'))
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
		b.writeRaw(append(binary.BigEndian.AppendUint64([]byte{0x80 | opText, 0x80 | 127}, 1<<20), 1, 2, 3, 4, 'x'))
	}
	v.staysBelow(before, 32<<20)
}

func brokenFrames(v *victim) {
	all := map[string]*browser{}
	for name, raw := range map[string][]byte{
		"not masked":                        {0x81, 0x01, 'x'},
		"a reserved opcode":                 maskedFrame(0x80|0x3, nil),
		"a reserved control opcode":         maskedFrame(0x80|0xB, nil),
		"a continuation of nothing":         maskedFrame(0x80, []byte("x")),
		"a ping in parts":                   maskedFrame(opPing, []byte("x")),
		"a long ping":                       maskedFrame(0x80|opPing, make([]byte, 126)),
		"a message in a message":            append(maskedFrame(opText, []byte("x")), maskedFrame(0x80|opText, []byte("x"))...),
		"a close of one byte, then nothing": maskedFrame(0x80|opClose, closePayload(1005, "")),
	} {
		all[name] = v.welcomed("127.0.3.7")
		all[name].writeRaw(raw)
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
	b.writeRaw([]byte{0x81, 0xfe, 0xff, 0xff, 1, 2, 3, 4})
	if !v.endsWhile(b, func() { b.writeRaw([]byte("x")) }) {
		v.Error("a message goes on for ever")
	}
}

// endsWhile tells whether the server ends the connection although the client goes on, every second.
func (v *victim) endsWhile(b *browser, again func()) bool {
	ended := make(chan bool)
	go func() { b.ignore(); close(ended) }()
	for range 60 {
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
	all := map[byte]*browser{}
	for _, reserved := range []byte{0x40, 0x20, 0x10, 0x70} {
		b := v.from("127.0.3.9", "/cable", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
		v.hears(b, welcome)
		if agreed := b.response.Header.Get("Sec-WebSocket-Extensions"); agreed != "" {
			v.Errorf("agreed to %s", agreed)
		}
		b.writeRaw(maskedFrame(0x80|reserved|opText, []byte("\xaa\x06\x00")))
		all[reserved] = b
	}
	for reserved, b := range all {
		if last := v.ends(b); !strings.HasPrefix(last, "(close 1002") {
			v.Errorf("reserved bits %x: %s", reserved, last)
		}
	}
}
