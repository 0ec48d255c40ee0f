package cable

import (
	"fmt"
	"strings"
	"testing"
)

func TestBacklog_CountsQueuesWhileTheyLast(t *testing.T) {
	w := newWorld(t, func(s *setup) { s.limits.Socket.PendingBytes = 64 << 20 })
	b := w.welcomed()
	b.subscribe("chat room")
	b.expect(confirmed("chat room"))
	if queues := w.server.Stats().Backlog; queues.Browsers != 0 || queues.Bytes != 0 {
		t.Errorf("before a queue exists: %+v", queues)
	}
	payload := func(i int) string { return fmt.Sprintf(`[%d,"%s"]`, i, strings.Repeat("x", 60<<10)) }
	sent := 0
	for ; w.server.Stats().Backlog.Bytes < 1<<20; sent++ { // the kernel buffers the first messages
		w.source.publish <- [2]string{"room", payload(sent)}
	}
	if browsers := w.server.Stats().Backlog.Browsers; browsers != 1 {
		t.Errorf("%d browsers are slow", browsers)
	}
	for i := range sent {
		b.expect(message("chat room", payload(i)))
	}
	w.eventually("the queue is empty", func() bool {
		queues := w.server.Stats().Backlog
		_, lasted := queues.Lasted.Buckets()
		return queues.Browsers == 0 && queues.Bytes == 0 && lasted > 0 && queues.Lasted.Sum > 0
	})
	stats := w.hub.Stats()
	if _, subscribes := stats.Subscribes.Buckets(); subscribes == 0 {
		t.Error("the stream's subscribe is not counted")
	}
}
