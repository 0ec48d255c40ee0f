package cable

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/catenary-cable/catenary/protocol"
)

// tokenExpired is the reason that a browser is told at its token's "exp".
const tokenExpired = "token_expired"

// holders are the connections that came with a token: by whose it is, so that
// they can be found, and by when it expires. One ticker serves them all.
type holders struct {
	mu     sync.Mutex
	by     map[string][]*Connection           // "sub 7", "jti 0b1e"
	expire map[int64]map[*Connection]struct{} // by Unix second
	done   int64                              // the last second that has been seen to
}

func (h *holders) init() {
	h.by, h.expire, h.done = map[string][]*Connection{}, map[int64]map[*Connection]struct{}{}, time.Now().Unix()
}

// add is called once, with c.mu held and c not ended.
func (h *holders) add(c *Connection) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, key := range c.holds() {
		h.by[key] = append(h.by[key], c)
	}
	if c.claims.Expires.IsZero() {
		return
	}
	c.expires = max(c.claims.Expires.Unix(), h.done+1)
	if h.expire[c.expires] == nil {
		h.expire[c.expires] = map[*Connection]struct{}{}
	}
	h.expire[c.expires][c] = struct{}{}
}

func (h *holders) remove(c *Connection) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, key := range c.holds() {
		left := slices.DeleteFunc(h.by[key], func(other *Connection) bool { return other == c })
		if h.by[key] = left; len(left) == 0 {
			delete(h.by, key)
		}
	}
	if delete(h.expire[c.expires], c); len(h.expire[c.expires]) == 0 {
		delete(h.expire, c.expires)
	}
}

// holds are the keys under which a connection can be found.
func (c *Connection) holds() (keys []string) {
	if c.claims.Subject != "" {
		keys = append(keys, "sub "+c.claims.Subject)
	}
	if c.claims.ID != "" {
		keys = append(keys, "jti "+c.claims.ID)
	}
	return keys
}

func (h *holders) find(key string) []*Connection {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.by[key])
}

// run ends connections whose token has expired. A browser with a fresh token
// comes back, one without is refused then.
func (h *holders) run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for _, c := range h.expired(now.Unix()) {
				c.end(tokenExpired, &protocol.Disconnect{Reason: tokenExpired, Reconnect: true})
			}
		}
	}
}

func (h *holders) expired(now int64) (gone []*Connection) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now-h.done > 60 { // the clock has been set
		for second, crowd := range h.expire {
			if second < now {
				for c := range crowd {
					gone = append(gone, c)
				}
			}
		}
	}
	for second := max(h.done+1, now-60); second <= now; second++ {
		for c := range h.expire[second] {
			gone = append(gone, c)
		}
	}
	h.done = max(h.done, now)
	return gone
}
