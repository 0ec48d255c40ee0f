package rpc

import "time"

// reply is the answer to one POST: a result for each of its calls, in order.
type reply struct {
	results  []Result
	settings *Settings
}

// Answer is the outcome of a call: a Result or an Err. If Err is ErrNotSent, the call has not run.
type Answer struct {
	Process *Process // that ran the call and holds the connection's objects; nil: by POST
	Result  *Result
	Err     error
}

// Result is what one call did (docs/rpc.md, "A result").
type Result struct {
	Status  int
	Headers [][2]string // with Body: the app's middleware answered the handshake itself
	Body    string

	Need     string
	Ops      []Op
	Version  string
	State    string
	Latest   bool // with State and Channels catenary has the latest state; false: a Kept follows
	Tags     []string
	ID       string
	Beat     float64                    // seconds between calls of Beat; 0: none
	Raised   bool                       // the app's connect raised an exception; Ops close the connection
	Channels map[string]*ChannelOutcome // by identifier; nil: not subscribed any more
	Warnings []string
	Error    *Error
}

// Opened reports whether an open made a connection. If not, the app's middleware answered the
// handshake, perhaps with status 200 too (a maintenance page, say).
func (r *Result) Opened() bool { return r.Error == nil && r.Status == 200 && r.Version != "" }

// Kinds of Op, with the fields that each uses (docs/rpc.md, "Effects").
const (
	OpSend     = "send"     // Frame
	OpConfirm  = "confirm"  // Identifier, Frame
	OpReject   = "reject"   // Identifier, Frame
	OpSub      = "sub"      // Identifier, Stream, Token
	OpUnsub    = "unsub"    // Identifier, Stream
	OpInternal = "internal" // Stream
	OpClose    = "close"    // Frame, if a backend sent disconnect
	OpDrop     = "drop"     // Identifier
	OpChannel  = "channel"  // Identifier, Channel, Event
)

// Op is one effect of a call on its connection.
type Op struct {
	Kind       string
	Identifier string
	Stream     string
	Token      *string // nil: a plain stream
	Frame      string
	Channel    string // class
	Event      string
}

// What an OpChannel reports.
const (
	ChannelConfirmed = "confirmed"
	ChannelRejected  = "rejected"
	ChannelRaised    = "raised" // an exception that the app has not handled
)

// ChannelOutcome is one subscription after a call.
type ChannelOutcome struct {
	State  string
	Timers []float64 // seconds between ticks
}

// Kinds of Error.
const (
	Lost     = "lost"     // state, a record or a block is gone: the browser must reconnect
	Internal = "internal" // the gem failed
)

// Error is Rails' reason why it could not run a call.
type Error struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return "Rails could not run the call (" + e.Kind + "): " + e.Message }

// Settings are the app's settings as Rails reports them (docs/rpc.md, "Settings").
type Settings struct {
	Time            float64        `json:"time"` // Unix seconds when Rails wrote this
	ClockAhead      time.Duration  `json:"-"`    // Rails' clock minus ours when this arrived
	Rails           string         `json:"rails"`
	Gem             string         `json:"gem"`
	Environment     string         `json:"environment"`
	MountPath       string         `json:"mount_path"`
	MountPaths      []string       `json:"mount_paths"` // all routes to Action Cable; * is any segment
	Threads         int            `json:"threads"`
	Cable           map[string]any `json:"cable"`            // secret: may hold a password
	LocalBroadcasts bool           `json:"local_broadcasts"` // they stay in the process that makes them
	Identifiers     []string       `json:"identifiers"`
	Identify        []string       `json:"identify"` // those of Identifiers that catenary may set
	GlobalIDApp     string         `json:"global_id_app"`

	// What decides which origins a handshake may have.
	AllowedRequestOrigins           []string `json:"allowed_request_origins"`
	AllowSameOriginAsHost           bool     `json:"allow_same_origin_as_host"`
	DisableRequestForgeryProtection bool     `json:"disable_request_forgery_protection"`
	AssumeSSL                       bool     `json:"assume_ssl"`
	ForwardedHost                   bool     `json:"forwarded_host"` // X-Forwarded-Host is the own host: Rails 8.2+
	ForceSSL                        bool     `json:"force_ssl"`
	Hosts                           []string `json:"hosts"` // empty: any

	Turbo   *TurboSettings   `json:"turbo"`   // nil: there is no Turbo::StreamsChannel
	History *HistorySettings `json:"history"` // nil: no stream has one
}

// HistorySettings are the streams whose broadcasts the gem keeps.
type HistorySettings struct {
	Problem string `json:"problem"` // why it keeps none
	Streams []struct {
		Pattern string `json:"pattern"` // * stands for any text
		Limit   int    `json:"limit"`
		TTL     int    `json:"ttl"` // seconds
	} `json:"streams"`
}

// received notes by how much the clocks of Rails and catenary differ.
func (s *Settings) received(now time.Time) {
	if s.Time > 0 {
		s.ClockAhead = time.Duration(s.Time*1e9) - time.Duration(now.UnixNano())
	}
}

// Mounts returns all paths at which the app mounts Action Cable.
func (s *Settings) Mounts() []string {
	if len(s.MountPaths) == 0 && s.MountPath != "" {
		return []string{s.MountPath}
	}
	return s.MountPaths
}

// TurboSettings are what catenary must know to verify the streams of the app's Turbo::StreamsChannel
// itself.
type TurboSettings struct {
	Own      string `json:"own"`       // what the app changed in it; "": nothing
	KeyCheck string `json:"key_check"` // see turbo.Check

	Unstamped string `json:"unstamped"` // why the app does not stamp pages; "": it does
}

// Kept is the state that a process hands over after the call whose result had Version.
type Kept struct {
	Version  string
	State    string                     // "": unchanged
	Channels map[string]*ChannelOutcome // by identifier, those whose state has changed
	Warnings []string
}
