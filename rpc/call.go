package rpc

import (
	"context"
	"encoding/json"
	"time"
)

// What a call asks Rails to do.
const (
	Open    = "open"    // run the app's connect for a handshake
	Frames  = "frames"  // run the browser's commands
	Tick    = "tick"    // run a channel's periodic timer
	Beat    = "beat"    // run the app's override of Connection#beat
	Deliver = "message" // run a stream's block for one broadcast
	Close   = "close"   // run unsubscribed and disconnect
)

// Call asks Rails to act on one connection. docs/rpc.md, "A call", describes the fields. A short
// call relies on the objects that the Rails process holds; a full one also carries Request and the
// fields after it.
type Call struct {
	Connection string
	Do         string
	Version    string
	Frames     []string

	Channel string // Tick, Deliver
	Timer   int    // Tick
	Stream  string // Deliver
	Payload string // Deliver

	Code   int    // Close: code of the close frame; 0: not known
	Text   string // Close: text of the close frame, or what was wrong
	Failed bool   // Close: the browser violated the WebSocket protocol

	Request  EncodedRequest // zero in a short call
	Protocol string
	State    string
	Tags     []string
	Channels []Channel // in the order in which they were subscribed

	Identities json.RawMessage // instead of running the app's connect

	// Encoded replaces all fields above: the JSON that AppendTo wrote, perhaps on another node.
	Encoded []byte

	// The fields below are for the Client and are not sent.

	// Home is the process that holds the connection's objects; nil: none, or it is not known.
	Home *Process

	// Fill makes the call a full one for the process that gets it (nil: a POST), because Home is gone
	// or does not hold the objects. An error fails the call. Fill runs without the Client's lock.
	// nil: the call is full already.
	Fill func(call *Call, at *Process) error

	// Until is when the call fails if it has not been sent; zero: never.
	Until time.Time

	// Context holds the parent of the call's trace; nil: there is none.
	Context context.Context

	traceparent string
}

// bounded reports whether Options.Queue limits the call. It does not limit closes and broadcasts:
// without them connections would break, and a connection has at most one of them in a queue.
func (c *Call) bounded() bool { return c.Do != Close && c.Do != Deliver }

// AppendTo appends the call's JSON as Rails gets it.
func (c *Call) AppendTo(b []byte) []byte { return appendCall(b, c) }

// Channel is one subscription in a full call.
type Channel struct {
	Identifier string
	State      string
	Streams    map[string]*string // name to token; nil: a plain stream
}
