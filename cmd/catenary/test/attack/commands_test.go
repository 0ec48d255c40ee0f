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
	v.attack("one channel subscribed to without end", sameSubscription)
	v.attack("a hundred thousand channels subscribed to", manySubscriptions)
	v.attack("identifiers that grow", longIdentifiers)
	v.attack("commands of 1 MB without end", longCommands)
	v.attack("JSON a hundred thousand deep", deepJSON)
	v.attack("what is no text", noText)
	v.another("--limits-commands-per-second", "0", "--limits-subscriptions-per-connection", "5").attack("subscriptions that only Ruby can read", spelledOtherwise)
}

// spelledOtherwise has a comment before each command, which Ruby's JSON lets pass.
func spelledOtherwise(v *victim) {
	b := v.welcomed("127.0.2.7")
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
			v.Fatalf("the connection says nothing more: %t %s", ok, e)
		}
		confirmed += strings.Count(e.Text, "confirm_subscription")
		rejected += strings.Count(e.Text, "reject_subscription")
	}
	if confirmed != 5 {
		v.Errorf("%d subscriptions are confirmed, %d rejected", confirmed, rejected)
	}
	b.Close()
}

// pour sends texts as fast as they are taken, until the connection ends.
func pour(b *stage.Browser, n int, text func(i int) string) (sent int) {
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
	b := v.welcomed("127.0.2.1")
	go b.Discard()
	subscribe := stage.Command("subscribe", `{"channel":"EchoChannel"}`, nil)
	n := dose(10_000, 100_000)
	before := repeated(v.Scrape())
	pour(b, n, func(int) string { return subscribe })
	v.reaches("repeated subscribes", repeated, before+float64(n)-10)
	b.Close()
}

func manySubscriptions(v *victim) {
	b := v.welcomed("127.0.2.2")
	go b.Discard()
	n := dose(4000, 100_000)
	before := refusedSubscriptions(v.Scrape())
	pour(b, n, func(i int) string {
		return stage.Command("subscribe", fmt.Sprintf(`{"channel":"StreamChannel","s":"s%d","n":%d}`, i, i), nil)
	})
	v.reaches("refused subscriptions", refusedSubscriptions, before+float64(n-1500))
	if held := v.Scrape().Gauge("catenary_subscriptions"); held > 1010 {
		v.Errorf("%v subscriptions are held", held)
	}
	b.Close()
}

// longIdentifiers are few, and each holds memory for as long as the connection lives.
func longIdentifiers(v *victim) {
	b := v.welcomed("127.0.2.3")
	go b.Discard()
	before, refused := v.vitals(), refusedSubscriptions(v.Scrape())
	size := 100 << 10
	n := dose(200, 1500)
	pour(b, n, func(i int) string {
		return stage.Command("subscribe", fmt.Sprintf(`{"channel":"EchoChannel","n":%d,"x":%q}`, i, strings.Repeat("x", size+i*100)), nil)
	})
	v.reaches("refused subscriptions", refusedSubscriptions, refused+float64(n-20))
	v.staysBelow(before, 32<<20)
	b.Close()
}

// longCommands come faster than Rails works them off.
func longCommands(v *victim) {
	b := v.welcomed("127.0.2.4")
	go b.Discard()
	b.Send(stage.Command("subscribe", `{"channel":"EchoChannel"}`, nil))
	before := v.vitals()
	slow := stage.Command("message", `{"channel":"EchoChannel"}`, `{"action":"slow","s":0.3,"x":"`+strings.Repeat("x", 900_000)+`"}`)
	go pour(b, 1000, func(int) string { return slow })
	for end := time.Now().Add(time.Duration(dose(3, 30)) * time.Second); time.Now().Before(end); {
		if held := v.vitals().heap - before.heap; held > 64<<20 {
			v.Errorf("catenary holds %.0f MB of commands", held/(1<<20))
			break
		}
	}
	b.Close()
}

// deepJSON is what breaks parsers that call themselves.
func deepJSON(v *victim) {
	b := v.welcomed("127.0.2.5")
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
	b.Send(stage.Command("subscribe", last, nil)) // it lives
	for {
		e, ok := stage.NextFrame(b)
		if !ok || e.Kind == "end" {
			v.Fatalf("the connection says nothing more: %t %s", ok, e)
		}
		if e.String() == stage.Confirmation(last) {
			break
		}
	}
	b.Close()
}

// noText is invalid UTF-8 wherever text should stand.
func noText(v *victim) {
	for name, bytes := range map[string][]byte{
		"in a message":         stage.MaskedFrame(0x80|stage.OpText, []byte("{\"command\":\"subscribe\",\"identifier\":\"\xff\"}")),
		"a surrogate":          stage.MaskedFrame(0x80|stage.OpText, []byte("\"\xed\xa0\x80\"")),
		"half a character":     stage.MaskedFrame(0x80|stage.OpText, []byte("\"\xe2\x82")),
		"in a close":           stage.MaskedFrame(0x80|stage.OpClose, stage.ClosePayload(1000, "\xff\xfe")),
		"too long a character": stage.MaskedFrame(0x80|stage.OpText, []byte("\xf8\x88\x80\x80\x80")),
	} {
		b := v.welcomed("127.0.2.6")
		b.WriteRaw(bytes)
		if last := v.ends(b); !strings.HasPrefix(last, "(close 1007") && !strings.HasPrefix(last, "(close 1002") {
			v.Errorf("%s: the connection ended with %s", name, last)
		}
	}
	// Escapes that stand for nothing are JSON all the same.
	b := v.welcomed("127.0.2.6")
	b.Send(`{"command":"subscribe","identifier":"{\"channel\":\"EchoChannel\",\"x\":\"\ud800\"}"}`)
	b.Send(`{"command":"subscribe","identifier":"{\"channel\":\"EchoChannel\",\"x\":\"\\ud800\"}"}`)
	b.Send(stage.Command("subscribe", `{"channel":"EchoChannel"}`, nil))
	for {
		e, ok := stage.NextFrame(b)
		if !ok || e.Kind == "end" {
			v.Fatalf("the connection says nothing more: %t %s", ok, e)
		}
		if e.String() == stage.Confirmation(`{"channel":"EchoChannel"}`) {
			break
		}
	}
	b.Close()
}
