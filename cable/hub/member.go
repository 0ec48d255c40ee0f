package hub

import "github.com/catenary-cable/catenary/cable/socket"

// Subscriber is notified when a stream that its member has joined is live.
type Subscriber interface {
	Live(m *Member)
}

// Member is one membership in a stream. Its owner keeps it to leave the stream.
//
// The hub does not use Token and Waiting: they belong to the owner, and fit into the 64
// bytes that a Member takes anyway.
type Member struct {
	Socket     *socket.Socket       // gets the frames
	Callback   func(payload string) // gets the payload instead: for a stream's block, or catenary's own streams
	Subscriber Subscriber           // nil for catenary's own streams
	Token      *string              // Rails' name for the stream's block; nil: no block

	place   int32 // in group, or in the stream's callbacks
	left    bool
	Waiting bool // for the stream to be live

	stream *stream
	group  *group
}

// Stream returns the name of the stream that the member has joined.
func (m *Member) Stream() string { return m.stream.name }
