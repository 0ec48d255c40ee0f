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
	Commands      int // of one connection waiting for Rails, also Socket.MessageBytes of them; then its socket is read no further

	SubscriptionBytes int // identifiers of one connection's subscriptions; more are rejected

	OpenWait time.Duration // for Rails' answer to a handshake; then 503
	CallWait time.Duration // for a Rails that cannot be reached; then the browser is told to reconnect, or its end is counted as lost
}
