package hub

import (
	"log/slog"
	"testing"
	"unsafe"
)

// Redis may be away for long, or never let us hear a stream.
func TestStream_ForgetsWhoLeavesBeforeItIsLive(t *testing.T) {
	source, told, to := &held{}, new(teller), shut(t)
	h := New(source, slog.New(slog.DiscardHandler))
	if h.Join("room", "chat room", &Member{Socket: to, Subscriber: told}) {
		t.Fatal("the stream is live before the source has acknowledged it")
	}
	for range 100 {
		m := &Member{Socket: to, Subscriber: nobody{}}
		h.Join("room", "chat2 room", m)
		h.Leave(m)
	}
	if n := len(h.shard("room").find("room").waiting); n > 20 {
		t.Errorf("%d wait, of whom all but one have left", n)
	}
	source.release()
	if *told != 1 {
		t.Errorf("whoever stays was told %d times that the stream is live", *told)
	}
}

// Each of many blocks gets the payload, which may be long, and wait long.
func TestStream_HasOneTextForAllBlocks(t *testing.T) {
	h := New(idle{}, slog.New(slog.DiscardHandler))
	var texts []string
	for range 3 {
		h.Join("room", "chat room", &Member{Callback: func(payload string) { texts = append(texts, payload) }, Subscriber: nobody{}})
	}
	s := h.shard("room").find("room")
	s.batch = [][]byte{[]byte(`{"a":1}`)}
	s.deliver(0, nil)
	if len(texts) != 3 || texts[0] != `{"a":1}` {
		t.Fatalf("got %q", texts)
	}
	for _, text := range texts[1:] {
		if unsafe.StringData(text) != unsafe.StringData(texts[0]) {
			t.Error("one has a copy of its own")
		}
	}
}
