package rpc

import (
	"context"
	"encoding/json"
	"time"
)

// What a call asks Rails to do.
const (
	Open    = "open"    // the handshake: run the app's connect
	Frames  = "frames"  // run the browser's commands
	Tick    = "tick"    // run a channel's periodic timer
	Beat    = "beat"    // run what the app has made of the heartbeat
	Deliver = "message" // run a stream's block for one broadcast
	Close   = "close"   // run unsubscribed and disconnect
)

// Call asks Rails to act on one connection. Field by field it is what
// docs/rpc.md says; a full call carries Request and what follows it, a short
// one relies on the objects that the Rails process still holds.
type Call struct {
	Connection string
	Do         string
	Version    string
	Frames     []string

	Channel string // Tick, Deliver
	Timer   int    // Tick
	Stream  string // Deliver
	Payload string // Deliver

	Code   int    // Close: how the WebSocket ended; 0: nobody knows
	Text   string // Close
	Failed bool   // Close: the browser broke the WebSocket protocol

	Request  json.RawMessage // nil in a short call; see Request.Encode
	Protocol string
	State    string
	Tags     []string
	Channels []Channel // in subscription order

	Identities json.RawMessage // in place of the app's connect; see docs/rpc.md

	Encoded []byte // in place of all the rest: what AppendTo has written, perhaps elsewhere

	// What follows is for the Client and never sent.

	// Home is the process that holds the connection's objects; nil: none, or
	// none that is known.
	Home *Process

	// Fill makes the call a full one for the process that it goes to (nil: by
	// POST), in case that its home is gone or has lost the objects; an error ends
	// the call. It runs without any lock of the Client's. nil: the call is full
	// already.
	Fill func(call *Call, at *Process) error

	// Until is how long the call may wait to be sent; zero: forever.
	Until time.Time

	// Context holds the parent of the call's trace; nil: it has none.
	Context context.Context

	traceparent string
}

// bounded reports whether Options.Queue bounds the call: ends and broadcasts are
// as many as there are connections, each of which makes one call at a time.
func (c *Call) bounded() bool { return c.Do != Close && c.Do != Deliver }

// AppendTo writes the call as Rails gets it.
func (c *Call) AppendTo(b []byte) []byte { return appendCall(b, c) }

// Request is the browser's HTTP request as it came. URL is absolute.
type Request struct {
	Method  string      `json:"method"`
	URL     string      `json:"url"`
	Headers [][2]string `json:"headers"`
	IP      string      `json:"ip"`
}

// Encode writes the request as a call carries it. A connection keeps only
// this: Rails may have to rebuild its objects from it at any time, and one
// piece of bytes costs less than the strings it is made of.
func (r *Request) Encode() json.RawMessage {
	b, _ := json.Marshal(r) // strings cannot fail
	return b
}

// Channel is one subscription in a full call.
type Channel struct {
	Identifier string
	State      string
	Streams    map[string]*string // name to token, nil for a plain stream
}
