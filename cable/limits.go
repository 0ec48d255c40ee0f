package cable

import "time"

// Limits bound what one browser, and all together, may cost. The zero value is
// of no use: config has the defaults.
type Limits struct {
	Connections   int   // open at once; more are answered 503
	MessageBytes  int64 // the longest message from a browser; a longer one closes its connection with 1009
	Subscriptions int   // of one connection; more are rejected
	Commands      int   // of one connection waiting for Rails, also MessageBytes of them; then its socket is read no further
	PendingBytes  int   // waiting to be written to one browser; over it, the browser is told to reconnect

	SubscriptionBytes int // identifiers of one connection's subscriptions; more are rejected

	ConnectionsPerAddress int // open at once; more are answered 429. 0, here and below: no limit
	Handshakes            int // per second; more are answered 503
	HandshakesPerAddress  int // per second; more are answered 429
	CommandRate           int // per second and connection, on average; more are read later
	CommandBurst          int // that may come at once

	// Unanswered is how long what we have sent may stay unacknowledged by the
	// browser's TCP. Because of the pings it is also how soon a browser is
	// missed that has vanished without a word.
	Unanswered time.Duration

	OpenWait    time.Duration // for Rails' answer to a handshake; then 503
	CallWait    time.Duration // for a Rails that cannot be reached; then the browser is told to reconnect, or its end is counted as lost
	CloseWait   time.Duration // for the browser's answer to our close frame
	MessageWait time.Duration // for the rest of a message that has begun; then the connection ends
}
