package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestAttack_Commands(t *testing.T) {
	v := startVictim(t, "--limits-commands-per-second", "0")
	v.attack("one channel subscribed to without end", sameSubscription)
	v.attack("a hundred thousand channels subscribed to", manySubscriptions)
	v.attack("identifiers that grow", longIdentifiers)
	v.attack("commands of 1 MB without end", longCommands)
	v.attack("JSON a hundred thousand deep", deepJSON)
	v.attack("what is no text", noText)
}

// pour sends texts as fast as they are taken, until the connection ends.
func pour(b *browser, n int, text func(i int) string) (sent int) {
	const batch = 256 << 10
	var bytes []byte
	for i := range n {
		bytes = append(bytes, maskedFrame(0x80|opText, []byte(text(i)))...)
		if len(bytes) >= batch || i == n-1 {
			if b.writePatiently(bytes) != nil {
				return i
			}
			bytes = bytes[:0]
		}
	}
	return n
}

func sameSubscription(v *victim) {
	b := v.welcomed("127.0.2.1")
	go b.ignore()
	subscribe := command("subscribe", `{"channel":"EchoChannel"}`, nil)
	n := dose(10_000, 100_000)
	before := v.scrape().repeated()
	pour(b, n, func(int) string { return subscribe })
	v.reaches("repeated subscribes", scraped.repeated, before+float64(n)-10)
	b.close()
}

func manySubscriptions(v *victim) {
	b := v.welcomed("127.0.2.2")
	go b.ignore()
	n := dose(4000, 100_000)
	before := v.scrape().refusedSubscriptions()
	pour(b, n, func(i int) string {
		return command("subscribe", fmt.Sprintf(`{"channel":"StreamChannel","s":"s%d","n":%d}`, i, i), nil)
	})
	v.reaches("refused subscriptions", scraped.refusedSubscriptions, before+float64(n-1500))
	if held := v.scrape().gauge("catenary_subscriptions"); held > 1010 {
		v.Errorf("%v subscriptions are held", held)
	}
	b.close()
}

// longIdentifiers are few, and each holds memory for as long as the connection lives.
func longIdentifiers(v *victim) {
	b := v.welcomed("127.0.2.3")
	go b.ignore()
	before, refused := v.vitals(), v.scrape().refusedSubscriptions()
	size := 100 << 10
	n := dose(200, 1500)
	pour(b, n, func(i int) string {
		return command("subscribe", fmt.Sprintf(`{"channel":"EchoChannel","n":%d,"x":%q}`, i, strings.Repeat("x", size+i*100)), nil)
	})
	v.reaches("refused subscriptions", scraped.refusedSubscriptions, refused+float64(n-20))
	v.staysBelow(before, 32<<20)
	b.close()
}

// longCommands come faster than Rails works them off.
func longCommands(v *victim) {
	b := v.welcomed("127.0.2.4")
	go b.ignore()
	b.send(command("subscribe", `{"channel":"EchoChannel"}`, nil))
	before := v.vitals()
	slow := command("message", `{"channel":"EchoChannel"}`, `{"action":"slow","s":0.3,"x":"`+strings.Repeat("x", 900_000)+`"}`)
	go pour(b, 1000, func(int) string { return slow })
	for end := time.Now().Add(time.Duration(dose(3, 30)) * time.Second); time.Now().Before(end); {
		if held := v.vitals().heap - before.heap; held > 64<<20 {
			v.Errorf("catenary holds %.0f MB of commands", held/(1<<20))
			break
		}
	}
	b.close()
}

// deepJSON is what breaks parsers that call themselves.
func deepJSON(v *victim) {
	b := v.welcomed("127.0.2.5")
	nest := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	object := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	const echo = `{"channel":"EchoChannel"}`
	for _, n := range []int{99, 101, 9_999, 10_001, 100_000} {
		b.send(nest(n))
		b.send(object(n))
		b.send(strings.Repeat("[", n))
		b.send(`{"command":"subscribe","identifier":` + nest(n) + `}`)
		b.send(`{"command":"subscribe","identifier":"x","x":` + nest(n) + `}`)
		b.send(command("subscribe", nest(n), nil))
		b.send(command("subscribe", `{"channel":"EchoChannel","x":`+nest(n)+`}`, nil))
		b.send(command("message", echo, nest(n)))
		b.send(command("message", echo, `{"action":"echo","x":`+nest(n)+`}`))
	}
	const last = `{"channel":"EchoChannel","last":1}`
	b.send(command("subscribe", last, nil)) // it lives
	for {
		e, ok := nextFrame(b, honestPatient)
		if !ok || e.kind == "end" {
			v.Fatalf("the connection says nothing more: %t %s", ok, e)
		}
		if e.String() == confirmation(last) {
			break
		}
	}
	b.close()
}

// noText is invalid UTF-8 wherever text should stand.
func noText(v *victim) {
	for name, bytes := range map[string][]byte{
		"in a message":         maskedFrame(0x80|opText, []byte("{\"command\":\"subscribe\",\"identifier\":\"\xff\"}")),
		"a surrogate":          maskedFrame(0x80|opText, []byte("\"\xed\xa0\x80\"")),
		"half a character":     maskedFrame(0x80|opText, []byte("\"\xe2\x82")),
		"in a close":           maskedFrame(0x80|opClose, closePayload(1000, "\xff\xfe")),
		"too long a character": maskedFrame(0x80|opText, []byte("\xf8\x88\x80\x80\x80")),
	} {
		b := v.welcomed("127.0.2.6")
		b.writeRaw(bytes)
		if last := v.ends(b); !strings.HasPrefix(last, "(close 1007") && !strings.HasPrefix(last, "(close 1002") {
			v.Errorf("%s: the connection ended with %s", name, last)
		}
	}
	// Escapes that stand for nothing are JSON all the same.
	b := v.welcomed("127.0.2.6")
	b.send(`{"command":"subscribe","identifier":"{\"channel\":\"EchoChannel\",\"x\":\"\ud800\"}"}`)
	b.send(`{"command":"subscribe","identifier":"{\"channel\":\"EchoChannel\",\"x\":\"\\ud800\"}"}`)
	b.send(command("subscribe", `{"channel":"EchoChannel"}`, nil))
	for {
		e, ok := nextFrame(b, honestPatient)
		if !ok || e.kind == "end" {
			v.Fatalf("the connection says nothing more: %t %s", ok, e)
		}
		if e.String() == confirmation(`{"channel":"EchoChannel"}`) {
			break
		}
	}
	b.close()
}
