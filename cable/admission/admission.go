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

// Limits bound connections and handshakes. 0 is no limit.
type Limits struct {
	ConnectionsPerAddress int // open at once; further ones are answered 429
	Handshakes            int // per second; further ones are answered 503
	HandshakesPerAddress  int // per second; further ones are answered 429
}

// Options configure an Admission. A zero field checks nothing, and Rails decides.
type Options struct {
	Limits  Limits
	Tokens  *token.Verifier
	Origins *Origins
	Proxies Proxies
	Log     *slog.Logger
}

// Admission decides about TCP connections and handshakes.
type Admission struct {
	tokens  *token.Verifier // nil: no token is needed
	origins *Origins
	proxies Proxies
	rules   atomic.Pointer[Rules] // nil: not known yet
	rates   *rates

	// Rejected counts, by reason, handshakes that catenary rejected; RejectedByRails those that the
	// app rejected.
	Rejected, RejectedByRails *stats.ThrottledCounter

	mu       sync.Mutex
	inFlight int       // handshakes that wait for Rails
	capacity sync.Cond // signalled when inFlight shrinks
}

// New creates an Admission.
func New(o Options) *Admission {
	a := &Admission{
		tokens: o.Tokens, origins: o.Origins, proxies: o.Proxies, rates: newRates(o.Limits),
		Rejected:        stats.NewThrottledCounter("handshakes rejected", o.Log, reasons[:]...),
		RejectedByRails: stats.NewThrottledCounter("handshakes rejected by Rails", o.Log, reasonsOfRails[:]...),
	}
	a.capacity.L = &a.mu
	return a
}

// reasons are the kinds of Rejected.
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

// maxInFlight bounds the handshakes that wait for Rails, each with its own buffers and stack. Rails
// works on fewer at once.
const maxInFlight = 256

// WaitForCapacity blocks while too many handshakes wait for Rails. The listener calls it before
// each accept, so that a storm queues in the kernel's backlog. Handshakes count only from RailsAsked
// on: slow requests and bad tokens do not.
func (a *Admission) WaitForCapacity() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.inFlight >= maxInFlight {
		a.capacity.Wait()
	}
}

// RailsAsked notes that a handshake waits for Rails, until RailsAnswered.
func (a *Admission) RailsAsked() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.inFlight++
}

// RailsAnswered notes that Rails has answered a handshake, or that the call has failed.
func (a *Admission) RailsAnswered() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.inFlight--
	a.capacity.Signal()
}

// Admit admits a TCP connection, before anything is read from it. If it reports false, the address
// has too many connections that are not WebSockets yet, and the caller must close this one.
func (a *Admission) Admit(remote net.Addr) bool {
	admitted := a.rates.admit(a.proxies.peer(remote))
	if !admitted {
		a.Rejected.Add("connections_per_address")
	}
	return admitted
}

// Release must be called when an admitted TCP connection becomes a WebSocket or closes.
func (a *Admission) Release(remote net.Addr) { a.rates.release(a.proxies.peer(remote)) }

// Incomplete counts a request whose header was too long, too slow or cut off.
func (a *Admission) Incomplete() { a.Rejected.Add("incomplete") }

// Address returns the browser's address, or the zero Addr if it is unknown.
func (a *Admission) Address(r *http.Request) netip.Addr { return a.proxies.client(r) }

// AdmitHandshake counts a handshake against the limits until ReleaseHandshake. The error is an
// *OverLimit.
func (a *Admission) AdmitHandshake(from netip.Addr) error {
	over := a.rates.admitHandshake(from)
	if over != nil { // a nil *OverLimit would not be a nil error
		return over
	}
	return nil
}

// ReleaseHandshake must be called when the handshake fails, or its connection closes.
func (a *Admission) ReleaseHandshake(from netip.Addr) { a.rates.releaseHandshake(from) }

// ChecksTokens reports whether browsers need a token.
func (a *Admission) ChecksTokens() bool { return a.tokens != nil }

// VerifyToken returns the claims of the handshake's token, or nil if no token is needed. The error
// is a token.Rejection unless the keys are unavailable.
func (a *Admission) VerifyToken(r *http.Request) (*token.Claims, error) {
	if a.tokens == nil {
		return nil, nil
	}
	return a.tokens.Verify(r)
}

// SetRules sets the app's rules about origins. While they are nil, no handshake is accepted without
// Rails.
func (a *Admission) SetRules(rules *Rules) { a.rules.Store(rules) }

// Rules returns the app's rules about origins, or nil if they are not known.
func (a *Admission) Rules() *Rules { return a.rules.Load() }
