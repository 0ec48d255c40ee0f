package hub

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"unsafe"
)

// Redis may be away for long, or never acknowledge a stream.
func TestStream_ForgetsMembersThatLeaveBeforeItIsLive(t *testing.T) {
	source, live, to := &delaying{}, new(counting), closedSocket(t)
	h := New(source, slog.New(slog.DiscardHandler))
	if h.Join("room", "chat room", &Member{Socket: to, Subscriber: live}) {
		t.Fatal("the stream is live before the source has acknowledged it")
	}
	for range 100 {
		m := &Member{Socket: to, Subscriber: ignoring{}}
		h.Join("room", "chat2 room", m)
		h.Leave(m)
	}
	if n := len(h.shard("room").find("room").pending); n > 20 {
		t.Errorf("%d members are pending, and all but one have left", n)
	}
	source.release()
	if *live != 1 {
		t.Errorf("the remaining member was notified %d times that the stream is live", *live)
	}
}

// Joining and leaving does not wait for a delivery, and does not mix up the places of members.
func TestStream_MembersJoinAndLeaveWhileItDelivers(t *testing.T) {
	h := New(idle{}, slog.New(slog.DiscardHandler))
	to := closedSocket(t)
	var stay []*Member
	for i := range 1000 {
		m := &Member{Socket: to}
		h.Join("room", fmt.Sprint(i%3), m)
		stay = append(stay, m)
	}
	s := h.shard("room").find("room")
	var joining sync.WaitGroup
	for n := range 4 {
		joining.Go(func() {
			for i := range 2000 {
				one, other := &Member{Socket: to}, &Member{Socket: to}
				h.Join("room", fmt.Sprint(i%3), one)
				h.Join("room", fmt.Sprint("alone ", n), other)
				h.Leave(one)
				h.Leave(other)
			}
		})
	}
	done := make(chan struct{})
	go func() { joining.Wait(); close(done) }()
	for delivering := true; delivering; {
		select {
		case <-done:
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

// However long a large stream takes, another stream of the same shard does not wait for it, and each keeps its order.
func TestStream_DoesNotWaitForALargeOneBesideIt(t *testing.T) {
	h := New(idle{}, slog.New(slog.DiscardHandler))
	to := closedSocket(t)
	for range largeStream + 1 {
		h.Join("large", "a", &Member{Socket: to, Subscriber: ignoring{}})
	}
	other := "0"
	for n := 0; h.shard(other) != h.shard("large"); n++ {
		other = fmt.Sprint(n)
	}
	release, large, small := make(chan bool), make(chan string, 10), make(chan string, 10)
	h.Join("large", "", &Member{Callback: func(b Broadcast) { <-release; large <- b.Payload }, Subscriber: ignoring{}})
	h.Join(other, "", &Member{Callback: func(b Broadcast) { small <- b.Payload }, Subscriber: ignoring{}})
	shard, ended := h.shard("large"), make(chan struct{})
	go func() { shard.run(h.dropped); close(ended) }()
	for n := range 3 {
		h.deliver("large", []byte(fmt.Sprint(n)))
		h.deliver(other, []byte(fmt.Sprint(n)))
		if got := <-small; got != fmt.Sprint(n) {
			t.Errorf("the other stream got %s", got)
		}
	}
	close(release)
	for n := range 3 {
		if got := <-large; got != fmt.Sprint(n) {
			t.Errorf("the large stream got %s", got)
		}
	}
	shard.stop()
	<-ended
	if shard.queue.bytes != 0 {
		t.Errorf("%d bytes are queued in the end", shard.queue.bytes)
	}
	if n := h.Stats().Broadcasts; n != 6 {
		t.Errorf("%d broadcasts are counted", n)
	}
}

// Each of many blocks gets the payload, which may be long and wait long.
func TestStream_SharesOneCopyOfAPayloadAmongAllBlocks(t *testing.T) {
	h := New(idle{}, slog.New(slog.DiscardHandler))
	var texts []string
	for range 3 {
		h.Join("room", "chat room", &Member{Callback: func(b Broadcast) { texts = append(texts, b.Payload) }, Subscriber: ignoring{}})
	}
	s := h.shard("room").find("room")
	s.batch = [][]byte{[]byte(`{"a":1}`)}
	s.deliver(0, nil)
	if len(texts) != 3 || texts[0] != `{"a":1}` {
		t.Fatalf("got %q", texts)
	}
	for _, text := range texts[1:] {
		if unsafe.StringData(text) != unsafe.StringData(texts[0]) {
			t.Error("a block has a copy of its own")
		}
	}
}
