package hub

import (
	"github.com/catenary-cable/catenary/cable/socket"
	"github.com/catenary-cable/catenary/protocol"
)

// Subscriber is notified when a stream that its member has joined is live.
type Subscriber interface {
	Live(m *Member)
}

// Broadcast is what a member with a callback gets.
type Broadcast struct {
	Payload  string
	Position protocol.Position // its offset is 0 if the stream has no history
	Others   bool              // it leaves out the member's page
	Invalid  bool              // it cannot be part of a frame; noted only for members with Sends
}

// Member is one membership in a stream. Its owner keeps it to leave the stream.
//
// The hub does not use Token and Waiting: they belong to the owner, and fit into the 64
// bytes that a Member takes anyway.
type Member struct {
	Socket     *socket.Socket  // gets the frames
	Callback   func(Broadcast) // gets the broadcast instead of frames
	Subscriber Subscriber      // nil for catenary's own streams
	Token      *string         // Rails' name for the stream's block; nil: no block

	place   int32 // in group, or in the stream's callbacks
	left    bool
	Waiting bool // for the stream to be live
	Sends   bool // Callback sends a frame to the browser

	stream *stream
	group  *group
}

// Stream returns the name of the stream that the member has joined.
func (m *Member) Stream() string { return m.stream.name }
