package socket

import "time"

// Limits bound what one browser's socket may cost.
type Limits struct {
	MessageBytes int64 // the longest message from a browser; a longer one closes its connection with 1009
	PendingBytes int   // waiting to be written to one browser besides the longest frame; over it, the browser is told to reconnect
	CommandRate  int   // messages per second and connection, on average; more are read later. 0: no limit
	CommandBurst int   // messages that may come at once

	// Unanswered is how long what we have sent may stay unacknowledged by the
	// browser's TCP. Because of the pings it is also how soon a browser is
	// missed that has vanished without a word.
	Unanswered time.Duration

	CloseWait   time.Duration // for the browser's answer to our close frame
	MessageWait time.Duration // for the rest of a message that has begun; then the connection ends
}
