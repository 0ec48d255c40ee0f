package admission

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/catenary-cable/catenary/cable/admission/token"
	"github.com/catenary-cable/catenary/cable/stats"
)

// Limits bound how often and how many browsers come. 0 is no limit.
type Limits struct {
	ConnectionsPerAddress int // open at once; more are answered 429
	Handshakes            int // per second; more are answered 503
	HandshakesPerAddress  int // per second; more are answered 429
}

// Options are what an Admission needs. What is zero is left to Rails.
type Options struct {
	Limits  Limits
	Tokens  *token.Verifier
	Origins *Origins
	Proxies Proxies
	Log     *slog.Logger
}

// Admission decides about TCP connections and handshakes.
type Admission struct {
	tokens  *token.Verifier // nil: nobody needs a token
	origins *Origins
	proxies Proxies
	rules   atomic.Pointer[Rules] // nil: not known
	rates   *rates

	// Rejected counts handshakes that are rejected without Rails, or despite it,
	// by reason; Refused those that the app has refused.
	Rejected, Refused *stats.ThrottledCounter

	mu       sync.Mutex
	asking   int       // handshakes that Rails has been asked about
	answered sync.Cond // signalled when Rails has answered one
}

// New makes an Admission.
func New(o Options) *Admission {
	a := &Admission{
		tokens: o.Tokens, origins: o.Origins, proxies: o.Proxies, rates: newRates(o.Limits),
		Rejected: stats.NewThrottledCounter("handshakes are turned away", o.Log, reasons[:]...),
		Refused:  stats.NewThrottledCounter("Rails refuses handshakes", o.Log, refusedByRails[:]...),
	}
	a.answered.L = &a.mu
	return a
}

// reasons are why handshakes are rejected, apart from Rails' refusals.
var reasons = [...]string{
	"incomplete", "no_upgrade", "malformed", "origin", // the request
	"connections_per_address", "handshakes_per_second_per_address", "handshakes_per_second", // limits
	"max_connections", "memory",
	string(token.Missing), string(token.Repeated), string(token.TooLong), string(token.Malformed),
	string(token.Algorithm), string(token.UnknownKey), string(token.Signature), string(token.Expired),
	string(token.TooEarly), string(token.Issuer), string(token.Audience), string(token.Scope),
	string(token.ClaimMissing), "token_keys_unavailable",
	"rails_busy", "rails_unavailable", "stopping",
}

// maxAsking is how many handshakes may wait for Rails' answer at once. It is
// more than Rails works on at once; each has buffers and a stack of its own.
const maxAsking = 256

// Wait blocks while too many handshakes wait for Rails, and is called before
// each accept, so that a storm queues in the kernel's backlog. A client that
// sends its request slowly, or a wrong token, holds up nobody.
func (a *Admission) Wait() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.asking >= maxAsking {
		a.answered.Wait()
	}
}

// Asking notes that Rails is asked about a handshake, until Answered.
func (a *Admission) Asking() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asking++
}

// Answered notes that Rails has answered, or cannot.
func (a *Admission) Answered() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asking--
	a.answered.Signal()
}

// Admit admits a TCP connection before anything is read of it. It reports false
// if its address has too many already that are no WebSocket: then it is to be
// closed.
func (a *Admission) Admit(remote net.Addr) bool {
	if a.rates.admit(a.proxies.peer(remote)) {
		return true
	}
	a.Rejected.Add("connections_per_address")
	return false
}

// Release is called when an admitted TCP connection has become a WebSocket, or
// has ended.
func (a *Admission) Release(remote net.Addr) { a.rates.release(a.proxies.peer(remote)) }

// Incomplete notes a request that has not come as a whole: its head was too
// long, too slow, or none.
func (a *Admission) Incomplete() { a.Rejected.Add("incomplete") }

// Address returns the browser's address, which is zero if it is unknown.
func (a *Admission) Address(r *http.Request) netip.Addr { return a.proxies.client(r) }

// AdmitHandshake admits a handshake, which keeps its place until
// ReleaseHandshake. The error is an *OverLimit.
func (a *Admission) AdmitHandshake(from netip.Addr) error {
	over := a.rates.admitHandshake(from)
	if over != nil {
		return over
	}
	return nil
}

// ReleaseHandshake gives back the place of a handshake, or of the connection
// that has come of it.
func (a *Admission) ReleaseHandshake(from netip.Addr) { a.rates.releaseHandshake(from) }

// ChecksTokens reports whether browsers need a token.
func (a *Admission) ChecksTokens() bool { return a.tokens != nil }

// VerifyToken returns the claims of the handshake's token, nil if none is
// needed. The error is a token.Refusal unless the keys are unavailable.
func (a *Admission) VerifyToken(r *http.Request) (*token.Claims, error) {
	if a.tokens == nil {
		return nil, nil
	}
	return a.tokens.Verify(r)
}

// Follow has the app's own rules about origins obeyed from now on. Until then,
// and after nil, no handshake is decided without the app.
func (a *Admission) Follow(rules *Rules) { a.rules.Store(rules) }

// Rules returns the app's own rules about origins, nil if they are not known.
func (a *Admission) Rules() *Rules { return a.rules.Load() }
