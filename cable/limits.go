package cable

import (
	"time"

	"github.com/catenary-cable/catenary/cable/socket"
)

// Limits bound what one browser, and all together, may cost. The zero value is
// of no use: config has the defaults.
type Limits struct {
	Socket socket.Limits

	Connections   int // open at once; more are answered 503
	Subscriptions int // of one connection; more are rejected

	SubscriptionBytes int // identifiers of one connection's subscriptions; more are rejected

	// Commands of one connection may wait for Rails, and Socket.MessageBytes of
	// them; then its socket is read no further.
	Commands int

	OpenWait time.Duration // for Rails' answer to a handshake; then 503

	// CallWait is for a Rails that cannot be reached; then the browser is told to
	// reconnect, or its end is counted as lost.
	CallWait time.Duration
}
