package broadcast

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/tidwall/redcon"
)

func TestPushReader_ReadsByteByByte(t *testing.T) {
	const wire = "*3\r\n$7\r\nmessage\r\n$1\r\ns\r\n$4\r\na\r\nb\r\n*3\r\n$9\r\nsubscribe\r\n$0\r\n\r\n:1\r\n" +
		"*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n+PONG\r\n*2\r\n$4\r\npong\r\n$0\r\n\r\n-NOPERM no\r\n"
	reader := newPushReader(iotest.OneByteReader(strings.NewReader(wire)), 100)
	for _, want := range []struct{ kind, name, payload string }{
		{"message", "s", "a\r\nb"}, {"subscribe", "", ""}, {"unsubscribe", "", ""},
		{"pong", "PONG", ""}, {"pong", "", ""}, {"error", "NOPERM no", ""},
	} {
		got, err := reader.read()
		if err != nil || string(got.kind) != want.kind || string(got.name) != want.name || string(got.payload) != want.payload {
			t.Fatalf("read %q %q %q (%v), want %q", got.kind, got.name, got.payload, err, want)
		}
	}
	if _, err := reader.read(); !errors.Is(err, io.EOF) {
		t.Fatalf("the error at the end is %v", err)
	}
}

func TestPushReader_RejectsWhatIsNotPubSub(t *testing.T) {
	for _, wire := range []string{"HTTP/1.1 400 Bad Request\r\n", "*1000000000\r\n", "*3\r\n$-2\r\n", "*3\r\n:7\r\n", "\r\n",
		"*3\r\n$7\r\nmessage\r\n$99999999999999999999\r\n", "*3\n", "*3\r\n$7\r\nmessage\r\n$1\r\ns\r\n$-1\r\n",
		"+" + strings.Repeat("x", 100_000)} {
		if _, err := newPushReader(strings.NewReader(wire), 100).read(); !errors.Is(err, errProtocol) {
			t.Errorf("%.40q: %v", wire, err)
		}
	}
}

func FuzzPushReader(f *testing.F) {
	f.Add([]byte("*3\r\n$7\r\nmessage\r\n$1\r\ns\r\n$4\r\na\r\nb\r\n+PONG\r\n*2\r\n$4\r\npong\r\n$0\r\n\r\n-ERR\r\n"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		reader := newPushReader(bytes.NewReader(wire), 1000)
		for {
			got, err := reader.read()
			if err != nil {
				return
			}
			if len(got.payload) > 1000 {
				t.Fatalf("a payload of %d bytes", len(got.payload))
			}
		}
	})
}

func FuzzPushReader_ReadsWhatWasSent(f *testing.F) {
	f.Add([]byte("stream"), []byte("payload"))
	f.Fuzz(func(t *testing.T, name, payload []byte) {
		wire := redcon.AppendArray(nil, 3)
		for _, part := range [][]byte{[]byte("message"), name, payload} {
			wire = redcon.AppendBulk(wire, part)
		}
		got, err := newPushReader(bytes.NewReader(wire), 1<<20).read()
		if err != nil || !bytes.Equal(got.name, name) || !bytes.Equal(got.payload, payload) {
			t.Fatalf("read %[3]q %[4]q (%[5]v), want %[1]q %[2]q", name, payload, got.name, got.payload, err)
		}
	})
}
