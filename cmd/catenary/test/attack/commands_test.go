package attack

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

func TestAttack_Commands(t *testing.T) {
	v := startVictim(t, "--limits-commands-per-second", "0")
	v.attack("endless subscribes to one channel", sameSubscription)
	v.attack("subscribes to a hundred thousand channels", manySubscriptions)
	v.attack("ever longer identifiers", longIdentifiers)
	v.attack("commands of 1 MB without end", longCommands)
	v.attack("JSON a hundred thousand levels deep", deepJSON)
	v.attack("invalid UTF-8", invalidUTF8)
	v.another("--limits-commands-per-second", "0", "--limits-subscriptions-per-connection", "5").attack("subscriptions that only Ruby can read", commentedCommands)
}

// commentedCommands puts a comment before each command, which Ruby's JSON parser accepts.
func commentedCommands(v *victim) {
	b := v.open("127.0.2.7")
	const n = 40
	for i := range n {
		b.Send("/**/" + stage.Command("subscribe", fmt.Sprintf(`{"channel":"EchoChannel","n":%d}`, i), nil))
	}
	const last = `{"channel":"EchoChannel","n":0}`
	b.Send(stage.Command("message", last, `{"action":"echo"}`))
	confirmed, rejected := 0, 0
	for confirmed+rejected < n {
		e, ok := stage.NextFrame(b)
		if !ok || e.Kind == "end" {
			v.Fatalf("nothing more comes: %t %s", ok, e)
		}
		confirmed += strings.Count(e.Text, "confirm_subscription")
		rejected += strings.Count(e.Text, "reject_subscription")
	}
	if confirmed != 5 {
		v.Errorf("%d subscriptions were confirmed, %d rejected", confirmed, rejected)
	}
	b.Close()
}

// sendMany sends n texts as fast as they are accepted, and stops when the connection ends.
func sendMany(b *stage.Browser, n int, text func(i int) string) (sent int) {
	const batch = 256 << 10
	var bytes []byte
	for i := range n {
		bytes = append(bytes, stage.MaskedFrame(0x80|stage.OpText, []byte(text(i)))...)
		if len(bytes) >= batch || i == n-1 {
			if b.WriteRaw(bytes) != nil {
				return i
			}
			bytes = bytes[:0]
		}
	}
	return n
}

func sameSubscription(v *victim) {
	b := v.open("127.0.2.1")
	go b.Discard()
	subscribe := stage.Command("subscribe", `{"channel":"EchoChannel"}`, nil)
	n := dose(10_000, 100_000)
	before := repeated(v.Scrape())
	sendMany(b, n, func(int) string { return subscribe })
	v.waitForCount("repeated subscribes", repeated, before+float64(n)-10)
	b.Close()
}

func manySubscriptions(v *victim) {
	b := v.open("127.0.2.2")
	go b.Discard()
	n := dose(4000, 100_000)
	before := rejectedSubscriptions(v.Scrape())
	sendMany(b, n, func(i int) string {
		return stage.Command("subscribe", fmt.Sprintf(`{"channel":"StreamChannel","s":"s%d","n":%d}`, i, i), nil)
	})
	v.waitForCount("rejected subscriptions", rejectedSubscriptions, before+float64(n-1500))
	if held := v.Scrape().Gauge("catenary_subscriptions"); held > 1010 {
		v.Errorf("catenary holds %v subscriptions", held)
	}
	b.Close()
}

// longIdentifiers subscribes to few channels, each of which holds memory while the connection
// lives.
func longIdentifiers(v *victim) {
	b := v.open("127.0.2.3")
	go b.Discard()
	before, refused := v.vitals(), rejectedSubscriptions(v.Scrape())
	size := 100 << 10
	n := dose(200, 1500)
	sendMany(b, n, func(i int) string {
		return stage.Command("subscribe", fmt.Sprintf(`{"channel":"EchoChannel","n":%d,"x":%q}`, i, strings.Repeat("x", size+i*100)), nil)
	})
	v.waitForCount("rejected subscriptions", rejectedSubscriptions, refused+float64(n-20))
	v.expectHeapBelow(before, 32<<20)
	b.Close()
}

// longCommands sends commands faster than Rails runs them.
func longCommands(v *victim) {
	b := v.open("127.0.2.4")
	go b.Discard()
	b.Send(stage.Command("subscribe", `{"channel":"EchoChannel"}`, nil))
	before := v.vitals()
	slow := stage.Command("message", `{"channel":"EchoChannel"}`, `{"action":"slow","s":0.3,"x":"`+strings.Repeat("x", 900_000)+`"}`)
	go sendMany(b, 1000, func(int) string { return slow })
	for end := time.Now().Add(time.Duration(dose(3, 30)) * time.Second); time.Now().Before(end); {
		if held := v.vitals().heap - before.heap; held > 64<<20 {
			v.Errorf("catenary holds %.0f MB of commands", held/(1<<20))
			break
		}
	}
	b.Close()
}

// deepJSON sends JSON that overflows the stack of recursive parsers.
func deepJSON(v *victim) {
	b := v.open("127.0.2.5")
	nest := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	object := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	const echo = `{"channel":"EchoChannel"}`
	for _, n := range []int{99, 101, 9_999, 10_001, 100_000} {
		b.Send(nest(n))
		b.Send(object(n))
		b.Send(strings.Repeat("[", n))
		b.Send(`{"command":"subscribe","identifier":` + nest(n) + `}`)
		b.Send(`{"command":"subscribe","identifier":"x","x":` + nest(n) + `}`)
		b.Send(stage.Command("subscribe", nest(n), nil))
		b.Send(stage.Command("subscribe", `{"channel":"EchoChannel","x":`+nest(n)+`}`, nil))
		b.Send(stage.Command("message", echo, nest(n)))
		b.Send(stage.Command("message", echo, `{"action":"echo","x":`+nest(n)+`}`))
	}
	const last = `{"channel":"EchoChannel","last":1}`
	b.Send(stage.Command("subscribe", last, nil)) // still served
	for {
		e, ok := stage.NextFrame(b)
		if !ok || e.Kind == "end" {
			v.Fatalf("nothing more comes: %t %s", ok, e)
		}
		if e.String() == stage.Confirmation(last) {
			break
		}
	}
	b.Close()
}

// invalidUTF8 sends invalid UTF-8 wherever text is expected.
func invalidUTF8(v *victim) {
	for name, bytes := range map[string][]byte{
		"in a message":         stage.MaskedFrame(0x80|stage.OpText, []byte("{\"command\":\"subscribe\",\"identifier\":\"\xff\"}")),
		"a surrogate":          stage.MaskedFrame(0x80|stage.OpText, []byte("\"\xed\xa0\x80\"")),
		"an incomplete rune":   stage.MaskedFrame(0x80|stage.OpText, []byte("\"\xe2\x82")),
		"in a close":           stage.MaskedFrame(0x80|stage.OpClose, stage.ClosePayload(1000, "\xff\xfe")),
		"a rune of five bytes": stage.MaskedFrame(0x80|stage.OpText, []byte("\xf8\x88\x80\x80\x80")),
	} {
		b := v.open("127.0.2.6")
		b.WriteRaw(bytes)
		if last := v.waitForEnd(b); !strings.HasPrefix(last, "(close 1007") && !strings.HasPrefix(last, "(close 1002") {
			v.Errorf("%s: the connection ended with %s", name, last)
		}
	}
	// Escapes of lone surrogates are valid JSON.
	b := v.open("127.0.2.6")
	b.Send(`{"command":"subscribe","identifier":"{\"channel\":\"EchoChannel\",\"x\":\"\ud800\"}"}`)
	b.Send(`{"command":"subscribe","identifier":"{\"channel\":\"EchoChannel\",\"x\":\"\\ud800\"}"}`)
	b.Send(stage.Command("subscribe", `{"channel":"EchoChannel"}`, nil))
	for {
		e, ok := stage.NextFrame(b)
		if !ok || e.Kind == "end" {
			v.Fatalf("nothing more comes: %t %s", ok, e)
		}
		if e.String() == stage.Confirmation(`{"channel":"EchoChannel"}`) {
			break
		}
	}
	b.Close()
}
