package main

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestAttack_Reading(t *testing.T) {
	v := startVictim(t, "--limits-pending-bytes", "256KiB")
	v.attack("nothing of what is broadcast", deaf)
	v.attack("nothing of the answers", deafToAnswers)
}

// deaf clients subscribe and never read.
func deaf(v *victim) {
	const loud = `{"channel":"StreamChannel","s":"loud"}`
	for range dose(5, 20) {
		b := v.unread("127.0.4.1")
		io.WriteString(b, string(maskedFrame(0x80|opText, []byte(command("subscribe", loud, nil)))))
	}
	subscribed := func() error {
		if n := v.scrape().gauge("catenary_subscriptions"); n < float64(2+dose(5, 20)) {
			return fmt.Errorf("%v subscriptions", n)
		}
		return nil
	}
	if err := v.nodes[0].process.waitFor(honestPatient, subscribed); err != nil {
		v.Fatal(err)
	}
	before, slow := v.vitals(), slowEnds(v.scrape())
	big := `"` + strings.Repeat("x", 100_000) + `"`
	came := v.scrape().broadcasts()
	for n := range dose(200, 1000) {
		if err := v.redis.do("PUBLISH loud " + big); err != nil {
			v.Fatal(err)
		}
		if n%100 == 99 { // else Redis gives up catenary, of which it keeps 32 MB
			v.reaches("broadcasts", scraped.broadcasts, came+float64(n))
		}
	}
	v.staysBelow(before, 32<<20)
	v.reaches("slow browsers", slowEnds, slow+float64(dose(5, 20)))
}

// deafToAnswers asks without end.
func deafToAnswers(v *victim) {
	b := v.unread("127.0.4.2")
	echo := maskedFrame(0x80|opText, []byte(command("message", honestEcho, `{"action":"echo","x":"`+strings.Repeat("x", 50_000)+`"}`)))
	io.WriteString(b, string(maskedFrame(0x80|opText, []byte(command("subscribe", honestEcho, nil)))))
	before := slowEnds(v.scrape())
	for range 400 {
		b.SetWriteDeadline(time.Now().Add(time.Minute))
		if _, err := b.Write(echo); err != nil {
			break
		}
	}
	v.reaches("slow browsers", slowEnds, before+1)
}

// unread opens a connection from which nothing will be read.
func (v *victim) unread(from string) net.Conn {
	v.Helper()
	conn, err := connect(from, v.nodes[0].address)
	if err != nil {
		v.Fatal(err)
	}
	conn.(*net.TCPConn).SetReadBuffer(4096)
	v.hostile = append(v.hostile, conn)
	io.WriteString(conn, handshake("GET", "/cable", v.nodes[0].address, nil))
	head := make([]byte, 4)
	if _, err := io.ReadFull(conn, head); err != nil {
		v.Fatal(err)
	}
	return conn
}

func slowEnds(s scraped) float64 { return s.why("catenary_connections_ended_total", "slow") }
