package socket

import (
	"net"
	"testing"
	"testing/synctest"
	"time"
)

func TestHeartbeat_PingsEachBrowserOnceInAnInterval(t *testing.T) {
	for _, interval := range []time.Duration{BeatInterval, 1500 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			h := &heartbeat{interval: interval, started: time.Now()}
			ours, browsers := net.Pipe()
			to, index := &Socket{conn: ours, fd: -1, limit: 1 << 20}, int32(0)
			begin := time.Now()
			phase := h.join(to, &index)

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
			h.stop()
			ours.Close()
			browsers.Close()
		})
	}
}

func TestHeartbeat_WakesForFewPhasesWhileThereAreFewBrowsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &heartbeat{interval: BeatInterval, started: time.Now()}
		used := func() (n int) {
			for i := range h.slots {
				if h.slots[i].timer != nil {
					n++
				}
			}
			return n
		}
		sockets := make([]Socket, 40*perPhase)
		for i := range sockets {
			s := &sockets[i]
			s.shut = true
			s.phase = h.join(s, &s.index)
			if i == 2*perPhase && used() > 3 || i == len(sockets)-1 && used() != phases {
				t.Errorf("%d phases are used for %d browsers", used(), i+1)
			}
		}
		for i := range sockets {
			h.leave(sockets[i].phase, &sockets[i].index)
		}
		time.Sleep(BeatInterval)
		synctest.Wait()
		if used() > 0 {
			t.Errorf("%d phases are used for no browsers", used())
		}
		h.join(&sockets[0], &sockets[0].index)
		if used() != 1 {
			t.Error("a browser has no phase")
		}
		h.stop()
	})
}
