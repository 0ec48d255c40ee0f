package attack

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

func TestAttack_Reading(t *testing.T) {
	v := startVictim(t, "--limits-pending-bytes", "256KiB")
	v.attack("subscribers that never read", subscribersThatNeverRead)
	v.attack("a browser that never reads the answers", unreadAnswers)
	v.attack("a broadcast that is longer than limits.pending_bytes", longBroadcast)
}

// subscribersThatNeverRead connects browsers that subscribe and never read.
func subscribersThatNeverRead(v *victim) {
	const loud = `{"channel":"StreamChannel","s":"loud"}`
	for range dose(5, 20) {
		b := v.connectWithoutReading("127.0.4.1")
		b.Write(stage.MaskedFrame(0x80|stage.OpText, []byte(stage.Command("subscribe", loud, nil))))
	}
	subscribed := func() error {
		if n := v.Scrape().Gauge("catenary_subscriptions"); n < float64(2+dose(5, 20)) {
			return fmt.Errorf("%v subscriptions", n)
		}
		return nil
	}
	if err := v.Nodes[0].Process.WaitFor(subscribed); err != nil {
		v.Fatal(err)
	}
	before, slow := v.vitals(), slowEnds(v.Scrape())
	big := `"` + strings.Repeat("x", 100_000) + `"`
	came := broadcasts(v.Scrape())
	for n := range dose(200, 1000) {
		if err := v.Redis.Do("PUBLISH loud " + big); err != nil {
			v.Fatal(err)
		}
		if n%100 == 99 { // or Redis closes catenary's connection when 32 MB are buffered for it
			v.waitForCount("broadcasts", broadcasts, came+float64(n))
		}
	}
	v.expectHeapBelow(before, 32<<20)
	v.waitForCount("slow browsers", slowEnds, slow+float64(dose(5, 20)))
}

// longBroadcast is not an attack: browsers that read such a broadcast stay connected.
func longBroadcast(v *victim) {
	const long = `{"channel":"StreamChannel","s":"long"}`
	var all []*stage.Browser
	for range 3 {
		b := v.open("127.0.4.3")
		b.Send(stage.Command("subscribe", long, nil))
		v.Expect(b, stage.Confirmation(long))
		all = append(all, b)
	}
	text := `"` + strings.Repeat("x", 5<<20) + `"`
	for _, message := range []string{text, "1"} {
		if err := v.Redis.Do("PUBLISH long " + message); err != nil {
			v.Fatal(err)
		}
		for _, b := range all {
			v.Expect(b, stage.MessageFor(long, message))
		}
	}
}

// unreadAnswers sends commands without reading the answers.
func unreadAnswers(v *victim) {
	b := v.connectWithoutReading("127.0.4.2")
	echo := stage.MaskedFrame(0x80|stage.OpText, []byte(stage.Command("message", honestEcho, `{"action":"echo","x":"`+strings.Repeat("x", 50_000)+`"}`)))
	b.Write(stage.MaskedFrame(0x80|stage.OpText, []byte(stage.Command("subscribe", honestEcho, nil))))
	before := slowEnds(v.Scrape())
	for range 400 {
		b.SetWriteDeadline(time.Now().Add(stage.Patience))
		if _, err := b.Write(echo); err != nil {
			break
		}
	}
	v.waitForCount("slow browsers", slowEnds, before+1)
}

// connectWithoutReading opens a connection from which nothing is read but the first bytes of the
// response.
func (v *victim) connectWithoutReading(from string) net.Conn {
	v.Helper()
	conn, err := stage.Connect(from, v.Nodes[0].Address)
	if err != nil {
		v.Fatal(err)
	}
	conn.(*net.TCPConn).SetReadBuffer(4096)
	v.hostile = append(v.hostile, conn)
	io.WriteString(conn, stage.Handshake("GET", "/cable", v.Nodes[0].Address, nil))
	head := make([]byte, 4)
	if _, err := io.ReadFull(conn, head); err != nil {
		v.Fatal(err)
	}
	return conn
}

func slowEnds(s stage.Scraped) float64 { return s.Reason("catenary_connections_ended_total", "slow") }
