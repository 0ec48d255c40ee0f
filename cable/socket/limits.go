package socket

import "time"

// Limits bound what one browser may cost.
type Limits struct {
	// MessageBytes is the longest message from a browser. A longer one closes the connection with
	// 1009.
	MessageBytes int64

	// PendingBytes may be queued for a browser, besides the longest frame. Above it, Owner.Slow is
	// called.
	PendingBytes int

	CommandRate  int // messages read per second, on average; 0: no limit
	CommandBurst int // messages read at once

	// Unanswered is how long the browser's TCP may leave data unacknowledged. Since every browser
	// gets pings, one that vanished is noticed after that time.
	Unanswered time.Duration

	CloseWait   time.Duration // for the browser's answer to our close frame
	MessageWait time.Duration // for the rest of a message, after its first byte
}
