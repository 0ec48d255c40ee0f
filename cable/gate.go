package cable

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

// overLimit is why a handshake has to wait.
type overLimit struct {
	limit  string // the setting, below limits
	status int
}

func (o *overLimit) Error() string { return "over limits." + o.limit }

// gate bounds how often browsers come, all together and from one address. The
// zero address is nobody's and not limited: that of a proxy, see Proxies.
type gate struct {
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
	knocking    int // TCP connections that are no WebSocket yet
}

func newGate(l Limits) *gate {
	return &gate{
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

// enter lets a handshake pass, which takes a place until leave, or says which
// limit it is over. One address is asked first: it must not use up what is
// there for all.
func (g *gate) enter(from netip.Addr) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	v := g.visitor(from)
	switch {
	case v == nil:
	case g.perAddress > 0 && v.connections >= g.perAddress:
		return &overLimit{"connections_per_address", http.StatusTooManyRequests}
	case v.handshakes != nil && !v.handshakes.Allow():
		return &overLimit{"handshakes_per_second_per_address", http.StatusTooManyRequests}
	}
	if g.all != nil && !g.all.Allow() {
		return &overLimit{"handshakes_per_second", http.StatusServiceUnavailable}
	}
	if v != nil {
		v.connections++
	}
	return nil
}

// knock lets a TCP connection be, which may become a WebSocket, until settle. It
// reports false if too many are of the same address.
func (g *gate) knock(from netip.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	v := g.visitor(from)
	if v == nil {
		return true
	}
	if g.perAddress > 0 && v.knocking >= g.perAddress {
		return false
	}
	v.knocking++
	return true
}

func (g *gate) settle(from netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if v := g.visitors[from]; v != nil && v.knocking > 0 {
		v.knocking--
	}
}

func (g *gate) leave(from netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if v := g.visitors[from]; v != nil && v.connections > 0 {
		v.connections--
	}
}

// visitor returns what is known of an address, nil for one that is not limited.
func (g *gate) visitor(from netip.Addr) *visitor {
	if !from.IsValid() || g.perAddress == 0 && g.rate == 0 {
		return nil
	}
	v := g.visitors[from]
	if v != nil {
		return v
	}
	if len(g.visitors) >= g.sweepAt {
		if g.sweep(); len(g.visitors) >= g.sweepAt {
			return nil
		}
	}
	v = &visitor{handshakes: perSecond(g.rate)}
	g.visitors[from] = v
	return v
}

// sweep forgets the addresses of which nothing is remembered any more, at most
// once a second.
func (g *gate) sweep() {
	now := time.Now()
	if now.Sub(g.swept) < time.Second {
		return
	}
	g.swept = now
	connected := 0
	for from, v := range g.visitors {
		if v.connections+v.knocking > 0 {
			connected++
		} else if v.handshakes == nil || v.handshakes.Tokens() >= float64(v.handshakes.Burst()) {
			delete(g.visitors, from)
		}
	}
	g.sweepAt = connected + visitors
}
