package audit

import "fmt"

// Runs says how a channel's code runs behind catenary. The order is from
// what costs nothing to what does not work.
type Runs int

const (
	Plain       Runs = iota // in any Rails process, rebuilt there from its state if need be
	Timers                  // plain, and catenary calls Rails for every tick
	Live                    // plain while the object lives; something is lost when it is rebuilt
	Pinned                  // in one Rails process for as long as the connection lives
	PassThrough             // only on the application's own Action Cable
	Never                   // nowhere outside of the process that has the sockets
)

func (r Runs) String() string {
	return [...]string{"plain", "timers", "live state", "pinned", "pass-through", "cannot work"}[r]
}

// MarshalText writes the word.
func (r Runs) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// A place is a line of a file.
type place struct {
	file string
	line int
}

// A Finding is one thing that a rule has to say about one line.
type Finding struct {
	Rule   string `json:"rule"`
	File   string `json:"file"`
	Line   int    `json:"line"`
	Runs   Runs   `json:"runs"`
	Code   string `json:"code"`   // what is written there
	Means  string `json:"means"`  // what will happen
	Advice string `json:"advice"` // nothing to do, pin, pass_through: [Channel], or change with a way

	module *scope // the class or module whose code it is; nil outside of all
}

// The advice that needs no more words.
const (
	nothingToDo = "nothing to do"
	pin         = "pin: catenary does so by itself"
)

func (s *source) finding(rule string, i int, runs Runs, code, means, advice string) Finding {
	return Finding{Rule: rule, File: s.path, Line: s.tokens[i].line, Runs: runs, Code: code, Means: means, Advice: advice, module: s.within[i].module()}
}

// A subject is a channel or a connection with all of its code, its own and
// what it takes from others.
type subject struct {
	app     *application
	class   *class
	line    []*class
	missing []string

	connection bool
}

// passThrough is the setting that leaves it to the application's own Action
// Cable.
func (s subject) passThrough() string {
	if s.connection {
		return "pass_through: all"
	}
	return fmt.Sprintf("pass_through: [%s]", s.class.name)
}

// parts are all bodies of the code.
func (s subject) parts() []part {
	var all []part
	for _, c := range s.line {
		all = append(all, c.parts...)
	}
	return all
}

// each calls visit for all tokens of the code.
func (s subject) each(visit func(p part, i int)) {
	for _, p := range s.parts() {
		p.each(func(i int) { visit(p, i) })
	}
}

// A rule looks at a channel or a connection.
type rule func(s subject) []Finding

// Rules for channels, for connections, and for files anywhere.
var (
	channelRules = []rule{timers, streamBlocks, deliveries, graphqlChannel, handedOver, unserialisable, classState, websocket, eventLoop, endlessLoops, siblings, threads, turboChannel}

	connectionRules = []rule{identifiers, unserialisable, classState, websocket, eventLoop, threads, connectionDelivery, heartbeat}

	fileRules = []func(s *source) []Finding{serverConnections, graphqlSchema, streamsForChannel, turboReopened, workerPool, overriddenForAll, heartbeats, notified}
)
