package admission

import (
	"net/http"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestRates_LimitsHandshakesOfOneAddressBeforeThoseOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRates(Limits{Handshakes: 2, HandshakesPerAddress: 1})
		a, b, c := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3")
		enter := func(from netip.Addr, times int) (passed int, last *OverLimit) {
			for range times {
				if err := g.admitHandshake(from); err != nil {
					last = err
				} else {
					g.releaseHandshake(from)
					passed++
				}
			}
			return passed, last
		}
		if n, err := enter(a, 20); n != 5 || err.Status != http.StatusTooManyRequests {
			t.Errorf("got %d, %v", n, err)
		}
		if n, err := enter(b, 20); n != 5 || err.Limit != "handshakes_per_second_per_address" {
			t.Errorf("got %d, %v", n, err)
		}
		if n, err := enter(c, 3); n != 0 || err.Status != http.StatusServiceUnavailable {
			t.Errorf("got %d, %v", n, err)
		}
		time.Sleep(2 * time.Second)
		if n, _ := enter(a, 20); n != 2 {
			t.Errorf("after 2 s got %d", n)
		}
	})
}

func TestRates_RemembersOnlySoManyAddresses(t *testing.T) {
	g := newRates(Limits{HandshakesPerAddress: 1})
	for i := range 200_000 {
		g.admitHandshake(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
		g.releaseHandshake(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	if n := len(g.visitors); n > visitors {
		t.Errorf("%d are remembered", n)
	}
}
