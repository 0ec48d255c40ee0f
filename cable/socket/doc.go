// Package socket carries bytes to and from one browser.
//
// In come frames that others have built, which Socket.Send hands to the kernel
// or queues, and what the browser says, of which each text goes to the
// Owner's Receive. Out go frames: plain ones, compressed ones, pings, pongs and
// the close handshake. A browser for which too much waits is given up
// (Owner.Slow), one that sends too much is read more slowly (keepPace), and one
// that is gone is reported once (Owner.End).
//
// What the texts mean, who gets which frame and whether a browser may come in
// is left to the packages above.
package socket
