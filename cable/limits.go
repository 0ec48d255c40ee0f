package cable

import (
	"time"

	"github.com/catenary-cable/catenary/cable/socket"
)

// Limits bound what one browser, and all together, may cost. The zero value is not
// usable; package config has the defaults.
type Limits struct {
	Socket socket.Limits

	Connections       int // open or opening; further handshakes get a 503
	Subscriptions     int // of one connection; further ones are rejected
	SubscriptionBytes int // of the identifiers of one connection; further ones are rejected

	// Commands is how many of one connection's commands may wait for Rails. Their
	// bytes are bounded by Socket.MessageBytes. At either limit the socket is not read.
	Commands int

	// OpenWait bounds the wait for Rails to open a connection. Then the handshake
	// gets a 503.
	OpenWait time.Duration

	// CallWait bounds the wait for a Rails that cannot be reached. Then the browser
	// must reconnect, and a close call counts as lost.
	CallWait time.Duration
}
