package admission

import (
	"net/http"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestRates_LimitOneAddressBeforeAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRates(Limits{Handshakes: 2, HandshakesPerAddress: 1})
		a, b, c := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3")
		admit := func(from netip.Addr, times int) (passed int, last *OverLimit) {
			for range times {
				if err := r.admitHandshake(from); err != nil {
					last = err
				} else {
					r.releaseHandshake(from)
					passed++
				}
			}
			return passed, last
		}
		if n, err := admit(a, 20); n != 5 || err.Status != http.StatusTooManyRequests {
			t.Errorf("got %d, %v", n, err)
		}
		if n, err := admit(b, 20); n != 5 || err.Limit != "handshakes_per_second_per_address" {
			t.Errorf("got %d, %v", n, err)
		}
		if n, err := admit(c, 3); n != 0 || err.Status != http.StatusServiceUnavailable {
			t.Errorf("got %d, %v", n, err)
		}
		time.Sleep(2 * time.Second)
		if n, _ := admit(a, 20); n != 2 {
			t.Errorf("after 2 s got %d", n)
		}
	})
}

func TestRates_BoundRememberedAddresses(t *testing.T) {
	r := newRates(Limits{HandshakesPerAddress: 1})
	for i := range 200_000 {
		r.admitHandshake(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
		r.releaseHandshake(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	if n := len(r.addresses); n > maxIdle {
		t.Errorf("%d addresses are remembered", n)
	}
}
