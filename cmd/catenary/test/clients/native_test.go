package clients

import (
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// A phone app sends no sub-protocol and no origin, and authenticates with a header. The application
// does not check origins (disable_request_forgery_protection).
func TestNativeClient_NeedsNoSubprotocolAndNoOrigin(t *testing.T) {
	t.Parallel()
	for _, server := range []string{serverUnderTest(), "rebuilt"} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			w, err := stage.StartWorld(server, "own", "LAB_DISABLE_FORGERY_PROTECTION=true")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(w.Close)
			(&nativeClient{t: t, conversation: &stage.Conversation{World: w, Browsers: map[string]*stage.Browser{}}}).talk()
		})
	}
}

type nativeClient struct {
	t            *testing.T
	conversation *stage.Conversation
}

func (c *nativeClient) talk() {
	c.connect()
	const headers, stream, turbo = `{"channel":"HeadersChannel"}`, `{"channel":"StreamChannel","s":"phone"}`, `{"channel":"Turbo::StreamsChannel","signed_stream_name":"forged"}`
	c.subscribe(headers)
	c.subscribe(stream)
	c.play("browser> "+stage.Command("subscribe", turbo, nil), `server> {"identifier":`+stage.Quoted(turbo)+`,"type":"reject_subscription"}`)
	for range 2 {
		c.play("browser> "+stage.Command("message", headers, `{"action":"show"}`), `server> {"identifier":`+stage.Quoted(headers)+
			`,"message":{"authorization":"Bearer a.b-c_d=","origin":null,"protocol":null,"agent":"Phone/1.0 (née)","cookie":null}}`)
	}
	c.play(`app> POST /broadcast {"stream":"phone","message":{"n":1}}`, `server> {"identifier":`+stage.Quoted(stream)+`,"message":{"n":1}}`,
		"browser> "+stage.Command("unsubscribe", stream, nil), "redis> PUBSUB NUMSUB phone => 0", `app> POST /broadcast {"stream":"phone","message":{"n":2}}`, "server> (quiet)",
		`server> {"type":"ping","message":<now>}`,
		`app> POST /disconnect {"uid":9}`)
	if stage.RailsVersion() < "7.1" && c.conversation.World.Catenary == nil {
		c.play("server> (close 1000)", "server> (end)")
	} else {
		c.play(`server> {"type":"disconnect","reason":"remote","reconnect":true}`, "server> (close 1000)", "server> (end)")
	}

	callbacks := []string{
		"connect", "subscribed " + headers, "subscribed " + stream, "subscribed " + turbo, "unsubscribed " + turbo, "unsubscribed " + stream,
		"unsubscribed " + headers, "disconnect",
	}
	c.expectCallbacks(callbacks)

	// It connects again, and its connection is lost.
	c.connect()
	c.subscribe(headers)
	c.play("browser> (vanishes)")
	c.expectCallbacks(append(callbacks, "connect", "subscribed "+headers, "unsubscribed "+headers, "disconnect"))
}

// expectCallbacks waits until exactly these callbacks have run for the client.
func (c *nativeClient) expectCallbacks(events []string) {
	c.t.Helper()
	if err := c.conversation.World.App.AwaitEvents("9", stage.Events, events); err != nil {
		c.t.Fatal(err)
	}
}

func (c *nativeClient) connect() {
	c.t.Helper()
	w := c.conversation.World
	b, err := stage.Dial(w.Address, stage.Handshake("GET", "/cable?uid=9", w.Address, []string{
		"Sec-WebSocket-Protocol: (none)", "Origin: (none)", "Authorization: Bearer a.b-c_d=", "User-Agent: Phone/1.0 (née)",
	}))
	if err != nil {
		c.t.Fatal(err)
	}
	c.conversation.Browsers[""] = b
	c.play("server> 101", "server> Sec-WebSocket-Protocol: (none)", `server> {"type":"welcome"}`)
}

func (c *nativeClient) subscribe(identifier string) {
	c.t.Helper()
	c.play("browser> "+stage.Command("subscribe", identifier, nil), "server> "+stage.Confirmation(identifier))
}

func (c *nativeClient) play(lines ...string) {
	c.t.Helper()
	c.conversation.MustPlay(c.t, lines...)
}
