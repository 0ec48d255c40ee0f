package status

// Status is what the page and `catenary top` show, as JSON. It holds no secret
// and nothing about a single browser; of what an app names itself it holds the
// names of streams, made fit to print.
type Status struct {
	Node     string   `json:"node"`
	Version  string   `json:"version"`
	Started  int64    `json:"started"`             // Unix milliseconds
	NotReady string   `json:"not_ready,omitempty"` // why not and what to do
	Draining bool     `json:"draining,omitempty"`
	Warnings []string `json:"warnings"` // besides NotReady

	Now        Point   `json:"now"`
	Calls      []Call  `json:"calls"`
	Rails      Rails   `json:"rails"`
	Handshakes []Count `json:"handshakes"`
	Ends       []Count `json:"ends"`
	Streams    Streams `json:"streams"`
	Queues     Queues  `json:"queues"`
	Nodes      Nodes   `json:"nodes"`
	Gaps       Gaps    `json:"gaps"`
	Memory     Memory  `json:"memory"`
}

// Queues are those of browsers that do not take what they are sent at once.
type Queues struct {
	Browsers int `json:"browsers"`
	Bytes    int `json:"bytes"`
}

// Point is one moment on the charts. Rates are a second's; times are those that
// 95 of 100 keep to in the last seconds, in milliseconds, and nil if there were
// none.
type Point struct {
	At            int64    `json:"at"` // Unix milliseconds
	Connections   int      `json:"connections"`
	Subscriptions int      `json:"subscriptions"`
	Opened        float64  `json:"opened"`
	Ended         float64  `json:"ended"`
	Rejected      float64  `json:"rejected"` // handshakes, by Rails too
	Commands      float64  `json:"commands"`
	Broadcasts    float64  `json:"broadcasts"`
	Deliveries    float64  `json:"deliveries"`
	BroadcastTime *float64 `json:"broadcast_time"`
	CallTime      *float64 `json:"call_time"`
	InFlight      int      `json:"in_flight"`
	Workers       int      `json:"workers"` // calls that Rails runs at once
	Waiting       int      `json:"waiting"`
	Memory        uint64   `json:"memory"` // bytes had from the system
	CPU           float64  `json:"cpu"`    // processors in use
}

// Call is a kind of call to Rails in the last minute.
type Call struct {
	Do     string   `json:"do"`
	Text   string   `json:"text"`   // the same in plain words
	Pace   float64  `json:"pace"`   // a second
	Median *float64 `json:"median"` // milliseconds
	Slow   *float64 `json:"slow"`   // milliseconds, of which 95 of 100 take less
	Failed uint64   `json:"failed"`
	All    uint64   `json:"all"` // since the start
}

// Rails is how catenary reaches the app, and its processes.
type Rails struct {
	Transport string    `json:"transport"` // link or post; empty: it has not been reached
	Processes []Process `json:"processes"` // those with a link, the oldest first
}

// Process is a Rails process.
type Process struct {
	ID          string `json:"id"`
	PumaWorker  *int   `json:"puma_worker,omitempty"`
	Workers     int    `json:"workers"`     // calls that it runs at once
	Busy        int    `json:"busy"`        // of these, those that run
	Waiting     int    `json:"waiting"`     // calls that wait for it, here or there
	Connections int    `json:"connections"` // whose objects it holds
	Since       int64  `json:"since"`       // Unix milliseconds
	Stopping    bool   `json:"stopping,omitempty"`
}

// Count is how often something has happened.
type Count struct {
	Reason string `json:"reason"`
	Text   string `json:"text"`   // the same in plain words
	Lately int64  `json:"lately"` // in the last minute
	All    int64  `json:"all"`    // since the start
}

// Streams are those of the app that stand out.
type Streams struct {
	All     int      `json:"all"`
	Busiest []Stream `json:"busiest"`
	Largest []Stream `json:"largest"`
}

// Stream is one of them.
type Stream struct {
	Name       string  `json:"name"`          // with Global IDs decoded
	Raw        string  `json:"raw,omitempty"` // as Redis has it, if that is another
	Members    int     `json:"members"`
	Pace       float64 `json:"pace"` // deliveries a second
	Deliveries int64   `json:"deliveries"`
}
