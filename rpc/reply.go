package rpc

// reply is what Rails answers to the calls of one POST, in their order.
type reply struct {
	results  []Result
	settings *Settings
}

// Answer is what became of a call. Err is not nil if there is no Result; if it
// is ErrNotSent, nothing has run.
type Answer struct {
	Process *Process // that ran it, and holds the connection's objects; nil over POST
	Result  *Result
	Err     error
}

// Result is what one call did.
type Result struct {
	Status  int
	Headers [][2]string // with Body: what the app's middleware answered to the handshake
	Body    string

	Need     string
	Ops      []Op
	Version  string
	State    string
	Kept     bool // with State and Channels, catenary has all of the state; else a Kept follows
	Tags     []string
	ID       string
	Beat     float64                    // seconds between two calls of Beat; 0: none
	Raised   bool                       // the app's connect has, and the ops end the connection
	Channels map[string]*ChannelOutcome // nil: not subscribed afterwards
	Warnings []string
	Error    *Error
}

// Opened reports whether an open has made a connection. If not, the app's
// middleware has answered the handshake: with 200 too, a maintenance page, say.
func (r *Result) Opened() bool { return r.Error == nil && r.Status == 200 && r.Version != "" }

// ChannelOutcome is what a call made of one subscription.
type ChannelOutcome struct {
	State  string
	Timers []float64 // seconds between ticks
}

// Kinds of Error.
const (
	Lost     = "lost"     // state, a record or a block is gone: the browser must reconnect
	Internal = "internal" // the gem failed
)

// Error is a call that could not be run.
type Error struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return "Rails could not run the call (" + e.Kind + "): " + e.Message }

// Settings are what the app tells of itself.
type Settings struct {
	Rails           string         `json:"rails"`
	Gem             string         `json:"gem"`
	Environment     string         `json:"environment"`
	MountPath       string         `json:"mount_path"`
	MountPaths      []string       `json:"mount_paths"` // where routes lead to Action Cable, * for a segment of any name
	Threads         int            `json:"threads"`
	Cable           map[string]any `json:"cable"`            // secret: may hold a password
	LocalBroadcasts bool           `json:"local_broadcasts"` // as with the adapter async
	Identifiers     []string       `json:"identifiers"`
	Identify        []string       `json:"identify"` // of these, those that catenary may set
	GlobalIDApp     string         `json:"global_id_app"`

	// How the app decides about the origin of a handshake.
	AllowedRequestOrigins           []string `json:"allowed_request_origins"`
	AllowSameOriginAsHost           bool     `json:"allow_same_origin_as_host"`
	DisableRequestForgeryProtection bool     `json:"disable_request_forgery_protection"`
	AssumeSSL                       bool     `json:"assume_ssl"`
	ForwardedHost                   bool     `json:"forwarded_host"` // counts as the app's own, as from Rails 8.2 on
	ForceSSL                        bool     `json:"force_ssl"`
	Hosts                           []string `json:"hosts"` // none: any

	Turbo *TurboSettings `json:"turbo"` // nil: there is no Turbo::StreamsChannel
}

// Mounts are all paths where the app has Action Cable, as far as it tells.
func (s *Settings) Mounts() []string {
	if len(s.MountPaths) == 0 && s.MountPath != "" {
		return []string{s.MountPath}
	}
	return s.MountPaths
}

// TurboSettings are what must be known of the app's Turbo::StreamsChannel before
// its streams can be verified elsewhere.
type TurboSettings struct {
	Own      string `json:"own"`       // what the app has changed; "": it is turbo-rails'
	KeyCheck string `json:"key_check"` // see turbo.Check
}

// Kept is the state that catenary lacked after the call that Version is of.
type Kept struct {
	Version  string
	State    string                     // "": what catenary has still holds
	Channels map[string]*ChannelOutcome // by identifier, those whose state has changed
	Warnings []string
}
