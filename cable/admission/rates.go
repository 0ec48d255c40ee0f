package admission

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// burst is how many seconds' worth of handshakes are admitted at once: users open several tabs,
	// and whole offices reconnect together.
	burst = 5

	// maxIdle bounds how many addresses without a connection are remembered. Further addresses
	// count only against the limits for all.
	maxIdle = 1 << 16
)

// OverLimit is the limit that rejects a handshake.
type OverLimit struct {
	Limit  string // the setting, without "limits."
	Status int    // of the answer
}

func (o *OverLimit) Error() string { return "over limits." + o.Limit }

// rates applies Limits, for all browsers and by address. The zero Addr, of a trusted proxy, is not
// limited by address.
type rates struct {
	maxConnections int           // of one address
	perAddress     int           // handshakes from one address, per second
	all            *rate.Limiter // for all handshakes; nil: no limit

	mu        sync.Mutex
	addresses map[netip.Addr]*usage
	sweepAt   int // number of addresses at which sweep is due
	swept     time.Time
}

// usage is what one address uses.
type usage struct {
	handshakes  *rate.Limiter // nil: no limit
	connections int
	pending     int // TCP connections that are not WebSockets yet
}

func newRates(l Limits) *rates {
	return &rates{
		maxConnections: l.ConnectionsPerAddress, perAddress: l.HandshakesPerAddress, all: perSecond(l.Handshakes),
		addresses: map[netip.Addr]*usage{}, sweepAt: maxIdle,
	}
}

// perSecond returns a limiter; nil, no limit, for 0.
func perSecond(n int) *rate.Limiter {
	if n == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(n), n*burst)
}

// admitHandshake counts a handshake until releaseHandshake, or returns the limit that it exceeds.
// Limits by address come first, so that one address cannot use up the limit for all.
func (r *rates) admitHandshake(from netip.Addr) *OverLimit {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := r.usage(from)
	switch {
	case u == nil:
	case r.maxConnections > 0 && u.connections >= r.maxConnections:
		return &OverLimit{"connections_per_address", http.StatusTooManyRequests}
	case u.handshakes != nil && !u.handshakes.Allow():
		return &OverLimit{"handshakes_per_second_per_address", http.StatusTooManyRequests}
	}
	if r.all != nil && !r.all.Allow() {
		return &OverLimit{"handshakes_per_second", http.StatusServiceUnavailable}
	}
	if u != nil {
		u.connections++
	}
	return nil
}

// admit counts a TCP connection until release. It reports false if the address has too many.
func (r *rates) admit(from netip.Addr) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := r.usage(from)
	if u == nil {
		return true
	}
	if r.maxConnections > 0 && u.pending >= r.maxConnections {
		return false
	}
	u.pending++
	return true
}

func (r *rates) release(from netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if u := r.addresses[from]; u != nil && u.pending > 0 {
		u.pending--
	}
}

func (r *rates) releaseHandshake(from netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if u := r.addresses[from]; u != nil && u.connections > 0 {
		u.connections--
	}
}

// usage returns the usage of an address, or nil if the address is not limited. r.mu is held.
func (r *rates) usage(from netip.Addr) *usage {
	if !from.IsValid() || r.maxConnections == 0 && r.perAddress == 0 {
		return nil
	}
	if u := r.addresses[from]; u != nil {
		return u
	}
	if len(r.addresses) >= r.sweepAt {
		r.sweep()
		if len(r.addresses) >= r.sweepAt {
			return nil
		}
	}
	u := &usage{handshakes: perSecond(r.perAddress)}
	r.addresses[from] = u
	return u
}

// sweep forgets addresses that have neither connections nor recent handshakes. It runs at most once
// a second.
func (r *rates) sweep() {
	now := time.Now()
	if now.Sub(r.swept) < time.Second {
		return
	}
	r.swept = now
	connected := 0
	for from, u := range r.addresses {
		if u.connections+u.pending > 0 {
			connected++
		} else if u.handshakes == nil || u.handshakes.Tokens() >= float64(u.handshakes.Burst()) {
			delete(r.addresses, from)
		}
	}
	r.sweepAt = connected + maxIdle
}
