package hub

import "github.com/catenary-cable/catenary/cable/socket"

// Subscriber is told when a stream that its member has joined is live.
type Subscriber interface {
	Live(m *Member)
}

// Member is one membership in a stream. Its owner keeps it in order to leave.
//
// Token and Waiting are the owner's alone. They stand here because a Member
// costs 64 bytes with or without them, and there are as many as subscriptions.
type Member struct {
	Socket     *socket.Socket       // gets the frames
	Callback   func(payload string) // called instead: a stream with a block, or one of our own
	Subscriber Subscriber           // nil for one of our own streams
	Token      *string              // Rails' name for the stream's block; nil for a plain stream

	place   int32 // in the group, or among the callbacks
	left    bool
	Waiting bool // for the stream to be live

	stream *stream
	group  *group
}

// Stream returns the name of the stream that the member has joined.
func (m *Member) Stream() string { return m.stream.name }
