// Package socket carries bytes to and from one browser.
//
// Socket.Send takes frames that other packages have built and hands them to the kernel, or queues
// what the kernel does not take. The reader passes each message of the browser to Owner.Receive and
// answers pings and close frames itself. Owner.Slow reports a browser for which too much is queued,
// and Owner.End a closed connection. A browser that sends too much is read more slowly (throttle).
//
// The packages above decide what messages mean, who gets which frame and who may connect.
package socket
