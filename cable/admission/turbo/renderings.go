package turbo

import (
	"sync"
	"time"
)

// maxHolders is how many connections may have a page at once. It is not 1 because catenary may
// learn late that a browser has left a connection. With more, the page comes from a cache.
const maxHolders = 2

// Renderings are the stamped pages that browsers have, and those loaded lately.
type Renderings struct {
	interval time.Duration // least time between two loads of one rendering

	mu      sync.Mutex
	byNonce map[string]*Rendering
}

// NewRenderings returns a Renderings without any. interval is the least time between two loads of
// one rendering.
func NewRenderings(interval time.Duration) *Renderings {
	return &Renderings{interval: interval, byNonce: map[string]*Rendering{}}
}

// Rendering is one rendered page. Renderings.mu guards it, except for what is static.
type Rendering struct {
	Nonce string    // static
	At    time.Time // by our clock; static

	holders int       // connections whose latest page it is
	loaded  time.Time // when it was last refreshed
}

// Hold adds a holder to a rendering.
func (r *Renderings) Hold(nonce string, at time.Time) *Rendering {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := r.byNonce[nonce]
	if found == nil {
		found = &Rendering{Nonce: nonce, At: at}
		r.byNonce[nonce] = found
	}
	found.holders++
	return found
}

// Release takes a holder away. A rendering without holders is forgotten when it may be loaded again.
func (r *Renderings) Release(one *Rendering) {
	if one == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	one.holders--
	if one.holders > 0 {
		return
	}
	if one.loaded.IsZero() {
		delete(r.byNonce, one.Nonce)
		return
	}
	time.AfterFunc(time.Until(one.loaded.Add(r.interval)), func() { r.forget(one) })
}

func (r *Renderings) forget(one *Rendering) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if one.holders == 0 && r.byNonce[one.Nonce] == one {
		delete(r.byNonce, one.Nonce)
	}
}

// Shared reports whether too many connections have the page.
func (r *Renderings) Shared(one *Rendering) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return one.holders > maxHolders
}

// Wait returns how long it is until the page may be loaded.
func (r *Renderings) Wait(one *Rendering, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.wait(one, now)
}

// wait is Wait with r.mu held.
func (r *Renderings) wait(one *Rendering, now time.Time) time.Duration {
	return one.loaded.Add(r.interval).Sub(now)
}

// Load notes that the page is loaded. If it may not be yet, Load returns for how long.
func (r *Renderings) Load(one *Rendering, now time.Time) (wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait = r.wait(one, now)
	if wait > 0 {
		return wait
	}
	one.loaded = now
	return 0
}
