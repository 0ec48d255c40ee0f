package protocol

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCommand_IsParsedAsInRuby(t *testing.T) {
	chat := `{"channel":"ChatChannel"}`
	for text, want := range map[string]Command{
		`{"command":"subscribe","identifier":"{\"channel\":\"ChatChannel\"}"}`:                                                             {Subscribe, chat, "", ""},
		" {\"identifier\" : \"{\\\"channel\\\":\\\"ChatChannel\\\"}\" ,\n\"command\":\"message\", \"x\":[{\"a\":1.5e3},null,\"\\\"]\"]}\t": {Perform, chat, "", ""},
		`{"command":"bogus","command":"unsubscribe","identifier":"a"}`:                                                                     {Unsubscribe, "a", "", ""},
		`{"Command":"subscribe","identifier":"a"}`:                                                                                         {Unknown, "a", "", ""},
		`{"command":"subscribe","identifier":"\u003cb\u003e"}`:                                                                             {Subscribe, "<b>", "", ""},
		`{"comm\u0061nd":"sub\u0073cribe","\u0069dentifier":"a"}`:                                                                          {Subscribe, "a", "", ""},
		`{"command":"subscribe","identifier":"\ud800"}`:                                                                                    {},
		`{"command":"subscribe","identifier":"\ud800\u0041"}`:                                                                              {},
		`{"history":{"since":1},"command":"subscribe","identifier":"a"}`:                                                                   {Subscribe, "a", `{"since":1}`, ""},
		`{"command":"subscribe"}`:                                                                                                          {},
		`{"command":"subscribe","identifier":null}`:                                                                                        {},
		`{"command":"subscribe","identifier":{"a":1}}`:                                                                                     {},
		`{"command":"history","identifier":"a","history":{"since":1}}`:                                                                     {Unknown, "a", `{"since":1}`, "history"},
		`{"command":"ping"}`: {Extended: "ping"}, `{"Command":"ping"}`: {}, `{"command":"pings"}`: {}, `{"command":"ping","command":"x"}`: {},
		`{bad`: {}, ``: {}, `null`: {}, `[]`: {}, `5`: {}, `"x"`: {}, `{}`: {}, ` { } `: {},
	} {
		if got := ParseCommand([]byte(text)); got != want {
			t.Errorf("%s: got %+v, want %+v", text, got, want)
		}
	}
}

func TestFrames_AreRailsBytes(t *testing.T) {
	id := `{"channel":"A","x":"<b>&é/"}`
	for got, want := range map[string]string{
		string(Confirm(id)):                             `{"identifier":"{\"channel\":\"A\",\"x\":\"\u003cb\u003e\u0026é/\"}","type":"confirm_subscription"}`,
		string(Reject("a")):                             `{"identifier":"a","type":"reject_subscription"}`,
		string(Message("a", []byte(`{"x":1}`))):         `{"identifier":"a","message":{"x":1}}`,
		string(Ping(1795451915)):                        `{"type":"ping","message":1795451915}`,
		string(Disconnect{Unauthorized, false}.Frame()): `{"type":"disconnect","reason":"unauthorized","reconnect":false}`,
		string(Disconnect{ServerRestart, true}.Frame()): `{"type":"disconnect","reason":"server_restart","reconnect":true}`,
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestHistory_IsParsedOrRejected(t *testing.T) {
	h, ok := ParseHistory(`{"since":1795451915,"streams":{"room":{"offset":12,"epoch":"a"}}}`)
	if !ok || h.Since != 1795451915 || len(h.Streams) != 1 || h.Streams["room"] != (Position{"a", 12}) {
		t.Errorf("got %+v %t", h, ok)
	}
	for _, text := range []string{
		``, `null`, `{}`, `5`, `"x"`, `[]`, `{"since":"x"}`, `{"since":-1}`, `{"since":1.5}`, `{"since":99999999999999999999}`,
		`{"streams":[]}`, `{"streams":{"a":5}}`, `{"streams":{"a":{"offset":-1,"epoch":"a"}}}`, `{"streams":{"a":{"offset":1.5}}}`,
		`{"streams":{"a":{"offset":"1","epoch":"a"}}}`, `{"streams":{"a":{"offset":1,"epoch":2}}}`, `{"since":1,"streams":{"a":null,"b":1}}`,
	} {
		if h, ok := ParseHistory(text); ok {
			t.Errorf("%s: got %+v", text, h)
		}
	}
}

func TestHistory_IsBounded(t *testing.T) {
	request := func(streams int, padding string) string {
		var all []string
		for i := range streams {
			all = append(all, fmt.Sprintf(`"%d":{"offset":1,"epoch":"a"}`, i))
		}
		return `{"streams":{` + strings.Join(all, ",") + `}` + padding + `}`
	}
	if h, ok := ParseHistory(request(maxHistoryStreams, "")); !ok || len(h.Streams) != maxHistoryStreams {
		t.Errorf("got %d streams, %t", len(h.Streams), ok)
	}
	long := request(1, strings.Repeat(" ", maxHistoryBytes))
	for _, text := range []string{request(maxHistoryStreams+1, ""), long} {
		if _, ok := ParseHistory(text); ok {
			t.Errorf("accepted %d bytes", len(text))
		}
	}
	command := ParseCommand([]byte(`{"command":"subscribe","identifier":"a","history":` + long + `}`))
	if len(command.History) != maxHistoryBytes+1 {
		t.Errorf("%d bytes are kept", len(command.History))
	}
}

func TestRemoteDisconnect_ReconnectsUnlessItForbidsIt(t *testing.T) {
	for payload, want := range map[string]Disconnect{
		`{"type":"disconnect"}`:                   {Remote, true},
		`{"type":"disconnect","reconnect":true}`:  {Remote, true},
		`{"type":"disconnect","reconnect":false}`: {Remote, false},
	} {
		if got, ok := ParseRemote([]byte(payload)); !ok || got != want {
			t.Errorf("%s: got %v %v", payload, got, ok)
		}
	}
	for _, payload := range []string{`{"type":"unknown"}`, `garbage`, `"x"`, `5`, ``} {
		if _, ok := ParseRemote([]byte(payload)); ok {
			t.Errorf("%s: taken for a disconnect", payload)
		}
	}
}

func TestNegotiate_TakesTheFirstKnownInTheBrowsersOrder(t *testing.T) {
	for offer, want := range map[string]string{
		"actioncable-v1-json, actioncable-unsupported":          V1JSON,
		"foo ,  actioncable-v1-json,bar":                        V1JSON,
		"actioncable-unsupported, actioncable-v1-json":          Unsupported,
		"actioncable-v1-json, actioncable-unsupported, tok.abc": V1JSON,
		"actioncable-v1-ext-json, actioncable-unsupported":      V1ExtJSON,
		"ACTIONCABLE-V1-JSON":                                   "", "foo": "", "": "",
	} {
		if got := Negotiate([]string{offer}); got != want {
			t.Errorf("%q: got %q, want %q", offer, got, want)
		}
	}
}

func FuzzParseCommand(f *testing.F) {
	f.Add([]byte(`{"command":"subscribe","identifier":"a","data":"{\"a\":[1,2]}"}`))
	f.Add([]byte(`{"a":[[],{}],"command":"message","identifier":"\u2028"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		got := ParseCommand(text)
		var object map[string]json.RawMessage
		if json.Unmarshal(text, &object) != nil {
			if got != (Command{}) {
				t.Fatalf("%q is not an object, but was parsed as %+v", text, got)
			}
			return
		}
		var identifier string
		if raw, ok := object["identifier"]; ok && raw[0] == '"' {
			json.Unmarshal(raw, &identifier)
		}
		if strings.ContainsRune(identifier, utf8.RuneError) && got.Identifier == "" && got.Kind == Unknown {
			return // Rails decides what it is
		}
		if got.Identifier != identifier {
			t.Fatalf("%q: identifier %q, want %q", text, got.Identifier, identifier)
		}
	})
}

// A message on the internal stream can disconnect the browser and do nothing else.
func FuzzParseRemote(f *testing.F) {
	f.Add([]byte(`{"type":"disconnect","reconnect":false}`))
	f.Add([]byte(`{"type":"disconnect","reconnect":null}`))
	f.Add([]byte(`{"Type":"disconnect","reconnect":"x"}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		if d, ok := ParseRemote(payload); ok && (d.Reason != Remote || !json.Valid(d.Frame())) {
			t.Errorf("%q: %s", payload, d.Frame())
		}
	})
}

func BenchmarkParseCommand(b *testing.B) {
	text := []byte(`{"command":"message","identifier":"{\"channel\":\"ChatChannel\",\"room\":1}","data":"{\"body\":\"hello there\",\"action\":\"speak\"}"}`)
	b.ReportAllocs()
	for b.Loop() {
		ParseCommand(text)
	}
}
