package conformance

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// A randomConversation makes up what a browser, and others, might do. Equal seeds make equal
// conversations.
type randomConversation struct {
	seed     uint64
	user     string
	restarts bool // see servers
	random   *rand.Rand
	fences   int
	payloads int

	subscribed map[string]bool            // by identifier, roughly
	followed   map[string]map[string]bool // streams by identifier; following one twice is a difference on purpose
}

func newRandomConversation(seed uint64) *randomConversation {
	return &randomConversation{
		seed: seed, user: fmt.Sprint(100_000 + seed), restarts: seed%2 == 0, random: rand.New(rand.NewPCG(seed, 0)),
		subscribed: map[string]bool{}, followed: map[string]map[string]bool{},
	}
}

// servers returns the servers to compare. A restart of Rails loses streams with blocks; a POST
// carries no effects of threads, and none before a broadcast. So half of the conversations have
// blocks, and the other half threads, jobs and broadcasts.
func (r *randomConversation) servers() []string {
	if r.restarts {
		return []string{"rails", "catenary", "rebuilt", "restarted"}
	}
	return []string{"rails", "catenary", "rebuilt", "post"}
}

func (r *randomConversation) handshake() string {
	if r.restarts && r.random.IntN(2) == 0 {
		return "/cable?tenant=" + r.pick("acme", "globex") + "&uid=" + r.user + "&mode=member&switch=" + r.pick(tenantSwitches()...)
	}
	return r.pick(
		"/cable?uid="+r.user, "/cable?tenant=acme&uid="+r.user, "/cable?uid="+r.user+"&mode=transmit", "/cable?uid="+r.user+"&sleep=0.05")
}

// tenantSwitches returns the callbacks in which this version of Rails can switch the tenant.
func tenantSwitches() []string {
	switches := []string{"work"}
	if (stage.Condition{Operator: ">=", Version: 7.1}).Holds(stage.RailsVersion()) {
		switches = append(switches, "command")
	}
	if (stage.Condition{Operator: "<", Version: 8.2}).Holds(stage.RailsVersion()) {
		switches = append(switches, "dispatch")
	}
	return switches
}

func (r *randomConversation) pick(from ...string) string { return from[r.random.IntN(len(from))] }

// name returns a name that only this conversation uses.
func (r *randomConversation) name(of string) string { return fmt.Sprintf("%s%d", of, r.seed) }

// A move is one thing that a browser or Redis does.
type move struct {
	speaker    string
	text       string
	more       []string // several commands at once, instead of text
	expects    string   // a frame that it causes, at any time
	opens      string   // a stream that it opens, at any time
	broadcasts bool     // it makes Rails broadcast
	async      bool     // it starts a thread or a job, which is lost with its process
}

const fenceChannel = `{"channel":"EchoChannel","fence":true}`

// fence returns a command that is answered after all commands before it have run.
func (r *randomConversation) fence() (sent, answer string) {
	r.fences++
	data := fmt.Sprintf(`{"action":"echo","fence":%d}`, r.fences)
	return stage.Command("message", fenceChannel, data), stage.MessageFor(fenceChannel, data)
}

// fenceStreamChannel returns the identifier of a channel with the stream fenceStream, which no
// other channel has.
func (r *randomConversation) fenceStreamChannel() string {
	return fmt.Sprintf(`{"channel":"StreamChannel","s":[%q]}`, r.fenceStream())
}

func (r *randomConversation) fenceStream() string { return r.name("fence") }

// fenceBroadcast returns a broadcast that arrives after all broadcasts before it, and its frame.
func (r *randomConversation) fenceBroadcast() (sent, frame string) {
	r.fences++
	number := fmt.Sprint(r.fences)
	return "PUBLISH " + r.fenceStream() + " " + number, stage.MessageFor(r.fenceStreamChannel(), number)
}

// streams returns all streams that the conversation may open.
func (r *randomConversation) streams() []string {
	streams := []string{
		"chats:foo_bar:" + r.name("x"),
		"model:" + base64.RawURLEncoding.EncodeToString([]byte("gid://app/User/"+r.user)),
	}
	for _, name := range []string{"a", "b", "c", "raised", "late"} {
		streams = append(streams, r.name(name))
	}
	for _, name := range []string{"cb_raw", "cb_json", "cb_fail", "cb_method"} {
		streams = append(streams, r.name("p")+name)
	}
	return streams
}

func (r *randomConversation) identifiers() []string {
	a, b := r.name("a"), r.name("b")
	identifiers := []string{
		`{"channel":"EchoChannel"}`,
		`{"channel":"EchoChannel","early":{"x":"é<>&"}}`,
		fmt.Sprintf(`{"channel":"StreamChannel","s":[%q]}`, a),
		fmt.Sprintf(`{"channel":"StreamChannel","s":[%q,%q],"t":1}`, b, a),
		`{"channel":"StreamChannel","sleep":0.08,"t":1}`,
		`{"channel":"CounterChannel"}`,
		`{"channel":"CounterChannel","owner":7}`,
		fmt.Sprintf(`{"channel":"ModelChannel","id":%s}`, r.user),
		fmt.Sprintf(`{"channel":"Chats::FooBarChannel","x":%q}`, r.name("x")),
		`{"channel":"RejectChannel"}`,
		`{"channel":"RejectChannel","t":1}`,
		fmt.Sprintf(`{"channel":"RaiseChannel","s":%q}`, r.name("raised")),
		`{"channel":"RaiseUnsubChannel"}`,
		`{"channel":"BeforeAbortChannel"}`,
		`{"channel":"BeforeRejectChannel"}`,
		`{"channel":"SlowSubChannel","sleep":0.02}`,
		`{"channel":"SiblingsChannel"}`,
		`{"channel":"Turbo::StreamsChannel","signed_stream_name":"forged--00"}`,
	}
	if !r.restarts {
		return append(identifiers, fmt.Sprintf(`{"channel":"CbChannel","p":%q}`, r.name("p")))
	}
	return append(identifiers, fmt.Sprintf(`{"channel":"OrderChannel","s":%q}`, a), fmt.Sprintf(`{"channel":"OrderChannel","s":%q}`, b), lateChannel, memberChannel)
}

const (
	lateChannel   = `{"channel":"LateChannel"}`
	memberChannel = `{"channel":"MemberChannel","colleague":8}`
)

// moves returns the conversation after the welcome.
func (r *randomConversation) moves() []move {
	var moves []move
	for range 15 + r.random.IntN(25) {
		switch n := r.random.IntN(20); {
		case n < 6:
			moves = append(moves, r.subscribe())
		case n < 8:
			moves = append(moves, r.unsubscribe())
		case n < 13:
			moves = append(moves, r.perform())
		case n < 17:
			moves = append(moves, r.publish())
		case n < 18:
			moves = append(moves, move{speaker: "browser", text: r.abnormal()})
		default:
			s := move{speaker: "browser"}
			for range 2 + r.random.IntN(5) {
				s.more = append(s.more, r.harmless())
			}
			moves = append(moves, s)
		}
	}
	return moves
}

func (r *randomConversation) subscribe() move {
	identifier := r.pick(r.identifiers()...)
	if !r.subscribed[identifier] {
		r.subscribed[identifier] = true
		r.followed[identifier] = map[string]bool{}
	}
	return move{speaker: "browser", text: stage.Command("subscribe", identifier, nil)}
}

func (r *randomConversation) unsubscribe() move {
	identifier := r.known()
	delete(r.subscribed, identifier)
	return move{speaker: "browser", text: stage.Command("unsubscribe", identifier, nil)}
}

// known returns an identifier that has probably been subscribed.
func (r *randomConversation) known() string {
	all := r.identifiers()
	start := r.random.IntN(len(all))
	if r.random.IntN(8) > 0 {
		for i := range all {
			if identifier := all[(start+i)%len(all)]; r.subscribed[identifier] {
				return identifier
			}
		}
	}
	return all[start]
}

// perform performs an action that only the channel has, or any action.
func (r *randomConversation) perform() move {
	identifier := r.known()
	if r.random.IntN(3) > 0 {
		switch {
		case strings.HasPrefix(identifier, `{"channel":"OrderChannel"`):
			return r.speak(identifier)
		case identifier == lateChannel:
			return r.actLate()
		case identifier == memberChannel:
			return move{speaker: "browser", text: stage.Command("message", identifier, `{"action":"who"}`)}
		}
	}
	stream := r.name(r.pick("a", "b", "c"))
	action := r.pick("echo", "receive", "noarg", "twoarg", "twice", "fail", "failarg", "slow", "follow", "follow", "unfollow", "stopall", "who", "str", "nul",
		"num", "types", "rejectnow", "inherited_action", "priv", "prot", "increment", "increment", "increment", "list", "subscribed", "nope")
	data := map[string]any{"action": action, "n": r.random.IntN(100)}
	switch action {
	case "slow":
		data["s"] = 0.01
	case "follow":
		if r.followed[identifier][stream] || !r.subscribed[identifier] || identifier[:22] != `{"channel":"EchoChanne` {
			data["action"] = "echo"
			break
		}
		r.followed[identifier][stream] = true
		data["s"] = stream
	case "unfollow":
		delete(r.followed[identifier], stream)
		data["s"] = stream
	case "subscribed": // it would open the same streams again
		if identifier[:16] != `{"channel":"Echo` {
			data["action"] = "echo"
		}
	}
	text, _ := json.Marshal(data)
	return move{speaker: "browser", text: stage.Command("message", identifier, string(text))}
}

// speak makes an action, its thread or its job broadcast, after the action has transmitted.
func (r *randomConversation) speak(identifier string) move {
	r.payloads++
	action := r.pick("speak", "speak_later", "leave_to_a_job")
	data := fmt.Sprintf(`{"action":%q,"n":%d,"s":0.01}`, action, r.payloads)
	m := move{speaker: "browser", text: stage.Command("message", identifier, data), broadcasts: true, async: action != "speak"}
	if r.subscribed[identifier] {
		m.expects = stage.MessageFor(identifier, fmt.Sprintf(`{"said":%d}`, r.payloads))
	}
	return m
}

// actLate makes a thread act while its action returns, and after it.
func (r *randomConversation) actLate() move {
	r.payloads++
	stream, last := r.name("late"), 0
	action := r.pick("say", "count", "follow")
	data := map[string]any{"action": action, "s": 0.01}
	switch {
	case action == "count":
		data["n"], data["pause"], data["sleep"], last = 4, 0.002, 0.005, 3
	case action == "follow" && !r.followed[lateChannel][stream]:
		data["stream"] = stream
	default:
		data["action"], data["n"], last = "say", r.payloads, r.payloads
	}
	text, _ := json.Marshal(data)
	m := move{speaker: "browser", text: stage.Command("message", lateChannel, string(text)), async: true}
	switch {
	case !r.subscribed[lateChannel]:
	case data["stream"] != nil:
		r.followed[lateChannel][stream] = true
		m.opens = stream
	default:
		m.expects = stage.MessageFor(lateChannel, fmt.Sprintf(`{"late":%d}`, last))
	}
	return m
}

func (r *randomConversation) publish() move {
	r.payloads++
	stream := r.pick(r.streams()...)
	payload := r.pick(`{"n":%d}`, `[%d]`, `%d`, `"text %d é"`, `{"html":"\u003cb\u003e%d","deep":{"er":[null,true,1.5]}}`)
	return move{speaker: "redis", text: "PUBLISH " + stream + " " + fmt.Sprintf(payload, r.payloads)}
}

// abnormal returns a command that no real client sends.
func (r *randomConversation) abnormal() string {
	identifier := r.known()
	quoted, _ := json.Marshal(identifier)
	return r.pick(
		`{"command":"message","identifier":`+string(quoted)+`}`,
		`{"command":"message","identifier":`+string(quoted)+`,"data":null}`,
		`{"command":"message","identifier":`+string(quoted)+`,"data":"[]"}`,
		`{"command":"message","identifier":`+string(quoted)+`,"data":"{\"action\":5}"}`,
		`{"command":"message","identifier":`+string(quoted)+`,"data":"{\"action\":null}"}`,
		`{"command":"message","identifier":`+string(quoted)+`,"data":{"action":"echo"}}`,
		`{"command":"whisper","identifier":`+string(quoted)+`,"data":"{}"}`,
		`{"command":"subscribe"}`, `{"command":"subscribe","identifier":5}`, `{"command":"subscribe","identifier":"{\"channel\":\"String\"}"}`,
		`{"command":"subscribe","identifier":"{\"channel\":\"NoSuchChannel\"}"}`, `{"command":"unsubscribe","identifier":"nothing"}`,
		`{"command":"unsubscribe"}`, `{"type":"pong"}`, `null`, `[]`, `5`, `{bad`, ``,
	)
}

// harmless returns a command whose effect does not depend on concurrent commands.
func (r *randomConversation) harmless() string {
	identifier := r.pick(`{"channel":"EchoChannel"}`, `{"channel":"BeforeAbortChannel"}`, `{"channel":"CounterChannel"}`, `{"channel":"RaiseUnsubChannel"}`)
	action := r.pick("echo", "noarg", "increment", "twice", "fail", "who", "inherited_action", "nope")
	switch r.random.IntN(10) {
	case 0:
		r.subscribed[identifier] = true
		if r.followed[identifier] == nil {
			r.followed[identifier] = map[string]bool{}
		}
		return stage.Command("subscribe", identifier, nil)
	case 1:
		return r.abnormal()
	}
	return stage.Command("message", identifier, fmt.Sprintf(`{"action":%q,"n":%d}`, action, r.random.IntN(100)))
}
