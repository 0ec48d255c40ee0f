package rpc

// Kinds of Op, each with the fields that it uses (docs/rpc.md, "Effects").
const (
	OpSend     = "send"     // Frame
	OpConfirm  = "confirm"  // Identifier, Frame
	OpReject   = "reject"   // Identifier, Frame
	OpSub      = "sub"      // Identifier, Stream, Token
	OpUnsub    = "unsub"    // Identifier, Stream
	OpInternal = "internal" // Stream
	OpClose    = "close"    // Frame, if a backend sent disconnect
	OpDrop     = "drop"     // Identifier
)

// Op is one effect of a call on its connection.
type Op struct {
	Kind       string
	Identifier string
	Stream     string
	Token      *string // nil: a plain stream
	Frame      string
}
