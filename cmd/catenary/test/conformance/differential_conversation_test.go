package conformance

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// A randomConversation makes up what a browser, and others, might do. The same seed makes the same conversation.
type randomConversation struct {
	seed     uint64
	user     string
	random   *rand.Rand
	fences   int
	payloads int

	subscribed map[string]bool            // by identifier, roughly
	followed   map[string]map[string]bool // streams by identifier: one taken twice is a difference on purpose
}

func newRandomConversation(seed uint64) *randomConversation {
	return &randomConversation{
		seed: seed, user: fmt.Sprint(100_000 + seed), random: rand.New(rand.NewPCG(seed, 0)),
		subscribed: map[string]bool{}, followed: map[string]map[string]bool{},
	}
}

func (r *randomConversation) handshake() string {
	return r.pick(
		"/cable?uid="+r.user, "/cable?tenant=acme&uid="+r.user, "/cable?uid="+r.user+"&mode=transmit", "/cable?uid="+r.user+"&sleep=0.05")
}

func (r *randomConversation) pick(from ...string) string { return from[r.random.IntN(len(from))] }

// name is a text that only this conversation uses.
func (r *randomConversation) name(of string) string { return fmt.Sprintf("%s%d", of, r.seed) }

// A move is one thing that a browser or Redis does.
type move struct {
	speaker string
	text    string
	more    []string // instead of text: several commands at once
	awaits  string   // a frame that comes of it, at any time
}

const fenceChannel = `{"channel":"EchoChannel","fence":true}`

// fence is a command whose answer comes when all commands before it have been run.
func (r *randomConversation) fence() (sent, answer string) {
	r.fences++
	data := fmt.Sprintf(`{"action":"echo","fence":%d}`, r.fences)
	return stage.Command("message", fenceChannel, data), stage.MessageFor(fenceChannel, data)
}

// fenceStreamChannel has the stream fenceStream, which nobody else streams.
func (r *randomConversation) fenceStreamChannel() string {
	return fmt.Sprintf(`{"channel":"StreamChannel","s":[%q]}`, r.fenceStream())
}

func (r *randomConversation) fenceStream() string { return r.name("fence") }

// fenceBroadcast is a broadcast that comes when all broadcasts before it have been taken.
func (r *randomConversation) fenceBroadcast() (sent, heard string) {
	r.fences++
	number := fmt.Sprint(r.fences)
	return "PUBLISH " + r.fenceStream() + " " + number, stage.MessageFor(r.fenceStreamChannel(), number)
}

// streams are all that the conversation may open.
func (r *randomConversation) streams() []string {
	streams := []string{
		"chats:foo_bar:" + r.name("x"),
		"model:" + base64.RawURLEncoding.EncodeToString([]byte("gid://app/User/"+r.user)),
	}
	for _, name := range []string{"a", "b", "c", "raised"} {
		streams = append(streams, r.name(name))
	}
	for _, name := range []string{"cb_raw", "cb_json", "cb_fail", "cb_method"} {
		streams = append(streams, r.name("p")+name)
	}
	return streams
}

func (r *randomConversation) identifiers() []string {
	a, b := r.name("a"), r.name("b")
	return []string{
		`{"channel":"EchoChannel"}`,
		`{"channel":"EchoChannel","early":{"x":"é<>&"}}`,
		fmt.Sprintf(`{"channel":"StreamChannel","s":[%q]}`, a),
		fmt.Sprintf(`{"channel":"StreamChannel","s":[%q,%q],"t":1}`, b, a),
		`{"channel":"StreamChannel","sleep":0.08,"t":1}`,
		fmt.Sprintf(`{"channel":"CbChannel","p":%q}`, r.name("p")),
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
		lateChannel,
		`{"channel":"SlowSubChannel","sleep":0.02}`,
		`{"channel":"SiblingsChannel"}`,
		`{"channel":"Turbo::StreamsChannel","signed_stream_name":"forged--00"}`,
	}
}

const lateChannel = `{"channel":"LateChannel"}`

// steps is the conversation after the welcome.
func (r *randomConversation) steps() []move {
	var steps []move
	for range 15 + r.random.IntN(25) {
		switch n := r.random.IntN(20); {
		case n < 6:
			steps = append(steps, r.subscribe())
		case n < 8:
			steps = append(steps, r.unsubscribe())
		case n < 13:
			steps = append(steps, r.perform())
		case n < 17:
			steps = append(steps, r.publish())
		case n < 18:
			steps = append(steps, move{speaker: "browser", text: r.abnormal()})
		default:
			s := move{speaker: "browser"}
			for range 2 + r.random.IntN(5) {
				s.more = append(s.more, r.harmless())
			}
			steps = append(steps, s)
		}
	}
	return steps
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

// known is mostly an identifier that has been subscribed.
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

func (r *randomConversation) perform() move {
	identifier := r.known()
	stream := r.name(r.pick("a", "b", "c"))
	action := r.pick("echo", "receive", "noarg", "twoarg", "twice", "fail", "failarg", "slow", "follow", "follow", "unfollow", "stopall", "who", "str", "nul",
		"num", "types", "rejectnow", "inherited_action", "priv", "prot", "increment", "increment", "increment", "list", "say", "subscribed", "nope")
	data := map[string]any{"action": action, "n": r.random.IntN(100)}
	switch action {
	case "slow", "say":
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
	case "subscribed": // would open the same streams again
		if identifier[:16] != `{"channel":"Echo` {
			data["action"] = "echo"
		}
	}
	text, _ := json.Marshal(data)
	m := move{speaker: "browser", text: stage.Command("message", identifier, string(text))}
	if data["action"] == "say" && identifier == lateChannel && r.subscribed[identifier] {
		m.awaits = stage.MessageFor(identifier, fmt.Sprintf(`{"late":%d}`, data["n"]))
	}
	return m
}

func (r *randomConversation) publish() move {
	r.payloads++
	stream := r.pick(r.streams()...)
	payload := r.pick(`{"n":%d}`, `[%d]`, `%d`, `"text %d é"`, `{"html":"\u003cb\u003e%d","deep":{"er":[null,true,1.5]}}`)
	return move{speaker: "redis", text: "PUBLISH " + stream + " " + fmt.Sprintf(payload, r.payloads)}
}

// abnormal is what no client of ours sends.
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

// harmless is a command whose effect does not depend on what runs beside it.
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
