package rpc

// Ops, the effects of a call.
const (
	OpSend     = "send"     // Frame
	OpConfirm  = "confirm"  // Identifier, Frame
	OpReject   = "reject"   // Identifier, Frame
	OpSub      = "sub"      // Identifier, Stream, Token
	OpUnsub    = "unsub"    // Identifier, Stream
	OpInternal = "internal" // Stream
	OpClose    = "close"
	OpDrop     = "drop" // Identifier
)

// Op is one effect. Which fields it has depends on its Kind.
type Op struct {
	Kind       string
	Identifier string
	Stream     string
	Token      *string // nil: a plain stream
	Frame      string
}
