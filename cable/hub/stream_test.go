package hub

import (
	"fmt"
	"log/slog"
	"sync"
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

// Nobody waits for a delivery, and nobody's place is mixed up by it.
func TestStream_MembersComeAndGoWhileItDelivers(t *testing.T) {
	h := New(idle{}, slog.New(slog.DiscardHandler))
	to := shut(t)
	var stay []*Member
	for i := range 1000 {
		m := &Member{Socket: to}
		h.Join("room", fmt.Sprint(i%3), m)
		stay = append(stay, m)
	}
	s := h.shard("room").find("room")
	var coming sync.WaitGroup
	for n := range 4 {
		coming.Go(func() {
			for i := range 2000 {
				one, other := &Member{Socket: to}, &Member{Socket: to}
				h.Join("room", fmt.Sprint(i%3), one)
				h.Join("room", fmt.Sprint("alone ", n), other)
				h.Leave(one)
				h.Leave(other)
			}
		})
	}
	gone := make(chan struct{})
	go func() { coming.Wait(); close(gone) }()
	for delivering := true; delivering; {
		select {
		case <-gone:
			delivering = false
		default:
		}
		s.batch = [][]byte{[]byte("1")}
		s.deliver(0, nil)
	}
	for i, m := range stay {
		if m.group.Len() == 0 || m.group.identifier != fmt.Sprint(i%3) {
			t.Fatalf("member %d is in %q of %d", i, m.group.identifier, m.group.Len())
		}
		h.Leave(m)
	}
	if n := h.Stats().Streams; n != 0 {
		t.Errorf("%d streams are left", n)
	}
}

// However long a crowd takes, another stream of the same shard does not wait for it, and each keeps its order.
func TestStream_DoesNotWaitForACrowdBesideIt(t *testing.T) {
	h := New(idle{}, slog.New(slog.DiscardHandler))
	to := shut(t)
	for range crowd + 1 {
		h.Join("crowd", "a", &Member{Socket: to, Subscriber: nobody{}})
	}
	other := "0"
	for n := 0; h.shard(other) != h.shard("crowd"); n++ {
		other = fmt.Sprint(n)
	}
	release, heard, beside := make(chan bool), make(chan string, 10), make(chan string, 10)
	h.Join("crowd", "", &Member{Callback: func(payload string) { <-release; heard <- payload }, Subscriber: nobody{}})
	h.Join(other, "", &Member{Callback: func(payload string) { beside <- payload }, Subscriber: nobody{}})
	shard, ended := h.shard("crowd"), make(chan struct{})
	go func() { shard.run(h.dropped); close(ended) }()
	for n := range 3 {
		h.deliver("crowd", []byte(fmt.Sprint(n)))
		h.deliver(other, []byte(fmt.Sprint(n)))
		if got := <-beside; got != fmt.Sprint(n) {
			t.Errorf("the other stream got %s", got)
		}
	}
	close(release)
	for n := range 3 {
		if got := <-heard; got != fmt.Sprint(n) {
			t.Errorf("the crowd got %s", got)
		}
	}
	shard.stop()
	<-ended
	if shard.queue.bytes != 0 {
		t.Errorf("%d bytes wait in the end", shard.queue.bytes)
	}
	if n := h.Stats().Broadcasts; n != 6 {
		t.Errorf("%d broadcasts are counted", n)
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
