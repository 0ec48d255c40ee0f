package status

// Status is what the page and `catenary top` show, as JSON. It contains no secrets and nothing
// about single browsers. Of the app's data it contains only names of streams, made printable.
type Status struct {
	Node     string   `json:"node"`
	Version  string   `json:"version"`
	Started  int64    `json:"started"`             // Unix milliseconds
	NotReady string   `json:"not_ready,omitempty"` // why not, and what to do
	Draining bool     `json:"draining,omitempty"`
	Warnings []string `json:"warnings"` // in addition to NotReady

	Now        Point    `json:"now"`
	Calls      []Call   `json:"calls"`
	Rails      Rails    `json:"rails"`
	Handshakes []Count  `json:"handshakes"`
	Ends       []Count  `json:"ends"`
	Streams    Streams  `json:"streams"`
	Queues     Queues   `json:"queues"`
	Nodes      Nodes    `json:"nodes"`
	Gaps       Gaps     `json:"gaps"`
	CatchUps   CatchUps `json:"catch_ups"`
	Memory     Memory   `json:"memory"`
}

// CatchUps are Turbo's pages that were away.
type CatchUps struct {
	Refreshed int64 `json:"refreshed"`
	Pending   int   `json:"pending"`
	Ignored   int64 `json:"ignored"` // stamps that are invalid or shared
}

// Queues are those of browsers with unsent data.
type Queues struct {
	Browsers int `json:"browsers"`
	Bytes    int `json:"bytes"`
}

// Point is one second on the charts. Rates are per second. Times are the 95th percentile of the
// last 10 to 20 seconds in milliseconds, nil if there were none.
type Point struct {
	At            int64    `json:"at"` // Unix milliseconds
	Connections   int      `json:"connections"`
	Users         int      `json:"users"`
	Subscriptions int      `json:"subscriptions"`
	Opened        float64  `json:"opened"`
	Ended         float64  `json:"ended"`
	Rejected      float64  `json:"rejected"` // handshakes, by catenary or by Rails
	Commands      float64  `json:"commands"`
	Broadcasts    float64  `json:"broadcasts"`
	Deliveries    float64  `json:"deliveries"`
	BroadcastTime *float64 `json:"broadcast_time"`
	CallTime      *float64 `json:"call_time"`
	InFlight      int      `json:"in_flight"`
	Workers       int      `json:"workers"` // calls that Rails can run at once
	Waiting       int      `json:"waiting"`
	Memory        uint64   `json:"memory"` // resident bytes
	CPU           float64  `json:"cpu"`    // cores in use
}

// Call is a kind of call to Rails in the last minute.
type Call struct {
	Do     string   `json:"do"`
	Text   string   `json:"text"`   // the kind in plain words
	Pace   float64  `json:"pace"`   // per second
	Median *float64 `json:"median"` // milliseconds
	Slow   *float64 `json:"slow"`   // 95th percentile in milliseconds
	Failed uint64   `json:"failed"`
	All    uint64   `json:"all"` // since the start
}

// Rails is how catenary reaches the app, and its processes.
type Rails struct {
	Transport string    `json:"transport"` // link or post; "" before the first answer
	Processes []Process `json:"processes"` // those with a link, oldest first
}

// Process is a Rails process.
type Process struct {
	ID          string `json:"id"`
	PumaWorker  *int   `json:"puma_worker,omitempty"`
	Workers     int    `json:"workers"`     // calls that it can run at once
	Busy        int    `json:"busy"`        // workers that run a call
	Waiting     int    `json:"waiting"`     // calls that wait for it, in catenary or in Rails
	Connections int    `json:"connections"` // those whose objects it holds
	Since       int64  `json:"since"`       // Unix milliseconds
	Stopping    bool   `json:"stopping,omitempty"`
}

// Count is how often a handshake had an outcome, or a connection a reason to close.
type Count struct {
	Reason string `json:"reason"`
	Text   string `json:"text"`   // the reason in plain words
	Lately int64  `json:"lately"` // in the last minute
	All    int64  `json:"all"`    // since the start
}

// Streams are the app's streams with the most deliveries and the most members.
type Streams struct {
	All     int      `json:"all"`
	Busiest []Stream `json:"busiest"`
	Largest []Stream `json:"largest"`
}

// Stream is one of them.
type Stream struct {
	Name       string  `json:"name"`          // with Global IDs decoded
	Raw        string  `json:"raw,omitempty"` // as in Redis, if that differs
	Members    int     `json:"members"`
	Pace       float64 `json:"pace"` // deliveries per second
	Deliveries int64   `json:"deliveries"`
}
