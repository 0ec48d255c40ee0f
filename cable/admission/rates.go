package admission

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// burst is how many seconds' worth of handshakes may come at once: pages
	// open several tabs, and offices come back together.
	burst = 5

	// visitors bounds the addresses that are remembered without a connection.
	// Beyond it new ones are not limited on their own, only with all others.
	visitors = 1 << 16
)

// OverLimit is why a handshake has to wait.
type OverLimit struct {
	Limit  string // the setting, below limits
	Status int    // of the answer
}

func (o *OverLimit) Error() string { return "over limits." + o.Limit }

// rates bounds how often browsers come, all together and from one address. The
// zero address is nobody's and not limited: that of a proxy, see Proxies.
type rates struct {
	perAddress int
	rate       int // of handshakes from one address, per second
	all        *rate.Limiter

	mu       sync.Mutex
	visitors map[netip.Addr]*visitor
	sweepAt  int
	swept    time.Time
}

type visitor struct {
	handshakes  *rate.Limiter
	connections int
	pending     int // TCP connections that are no WebSocket yet
}

func newRates(l Limits) *rates {
	return &rates{
		perAddress: l.ConnectionsPerAddress, rate: l.HandshakesPerAddress, all: perSecond(l.Handshakes),
		visitors: map[netip.Addr]*visitor{}, sweepAt: visitors,
	}
}

// perSecond is nil, no limit, for 0.
func perSecond(n int) *rate.Limiter {
	if n == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(n), n*burst)
}

// admitHandshake gives a handshake a place until releaseHandshake, or returns the
// limit that it is over. Its own address is asked first: it must not use up what
// is there for all.
func (r *rates) admitHandshake(from netip.Addr) *OverLimit {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := r.visitor(from)
	switch {
	case v == nil:
	case r.perAddress > 0 && v.connections >= r.perAddress:
		return &OverLimit{"connections_per_address", http.StatusTooManyRequests}
	case v.handshakes != nil && !v.handshakes.Allow():
		return &OverLimit{"handshakes_per_second_per_address", http.StatusTooManyRequests}
	}
	if r.all != nil && !r.all.Allow() {
		return &OverLimit{"handshakes_per_second", http.StatusServiceUnavailable}
	}
	if v != nil {
		v.connections++
	}
	return nil
}

// admit gives a TCP connection, which may become a WebSocket, a place until
// release. It reports false if too many are of the same address.
func (r *rates) admit(from netip.Addr) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := r.visitor(from)
	if v == nil {
		return true
	}
	if r.perAddress > 0 && v.pending >= r.perAddress {
		return false
	}
	v.pending++
	return true
}

func (r *rates) release(from netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v := r.visitors[from]; v != nil && v.pending > 0 {
		v.pending--
	}
}

func (r *rates) releaseHandshake(from netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v := r.visitors[from]; v != nil && v.connections > 0 {
		v.connections--
	}
}

// visitor returns what is known of an address, nil for one that is not limited.
func (r *rates) visitor(from netip.Addr) *visitor {
	if !from.IsValid() || r.perAddress == 0 && r.rate == 0 {
		return nil
	}
	v := r.visitors[from]
	if v != nil {
		return v
	}
	if len(r.visitors) >= r.sweepAt {
		r.sweep()
		if len(r.visitors) >= r.sweepAt {
			return nil
		}
	}
	v = &visitor{handshakes: perSecond(r.rate)}
	r.visitors[from] = v
	return v
}

// sweep forgets the addresses of which nothing is remembered any more, at most
// once a second.
func (r *rates) sweep() {
	now := time.Now()
	if now.Sub(r.swept) < time.Second {
		return
	}
	r.swept = now
	connected := 0
	for from, v := range r.visitors {
		if v.connections+v.pending > 0 {
			connected++
		} else if v.handshakes == nil || v.handshakes.Tokens() >= float64(v.handshakes.Burst()) {
			delete(r.visitors, from)
		}
	}
	r.sweepAt = connected + visitors
}
