package socket

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

func TestHeartbeat_PingsEachBrowserOnceInAnInterval(t *testing.T) {
	for _, interval := range []time.Duration{BeatInterval, 1500 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			h := &heartbeat{interval: interval}
			ours, browsers := net.Pipe()
			to, index := &Socket{conn: ours, fd: -1, limit: 1 << 20}, int32(0)
			begin := time.Now()
			phase := h.join(to, &index)
			go h.run(ctx)

			var last time.Time
			for i := range 5 {
				if _, err := browsers.Read(make([]byte, 100)); err != nil {
					t.Fatal(err)
				}
				switch now := time.Now(); {
				case i == 0 && now.Sub(begin) > interval:
					t.Errorf("the first ping came after %v", now.Sub(begin))
				case i > 0 && now.Sub(last) != interval:
					t.Errorf("%v between pings, not %v", now.Sub(last), interval)
				}
				last = time.Now()
			}
			h.leave(phase, &index)
			cancel()
			synctest.Wait()
			ours.Close()
			browsers.Close()
		})
	}
}
