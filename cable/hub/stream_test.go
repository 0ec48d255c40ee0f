package hub

import (
	"log/slog"
	"testing"
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
