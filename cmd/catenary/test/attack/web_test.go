package attack

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// With --proxy, pages come through the same port as handshakes.
func TestAttack_Web(t *testing.T) {
	v := startVictim(t, "--proxy", "--limits-handshakes-per-second-per-address", "0")
	v.attack("hundreds of handshakes from one address", func(v *victim) { handshakeStorm(v, 1) })
	v.attack("hundreds of handshakes from many addresses", func(v *victim) { handshakeStorm(v, 50) })
	v.attack("requests whose body does not come", incompleteRequests)
}

// handshakeStorm sends more handshakes than Rails can open in time. Pages are answered meanwhile.
func handshakeStorm(v *victim, addresses int) {
	quiet := v.page()
	for n := range dose(400, 1000) {
		conn, err := stage.Connect(fmt.Sprintf("127.0.6.%d", 1+n%addresses), v.Nodes[0].Address)
		if err != nil {
			v.Fatal(err)
		}
		v.hostile = append(v.hostile, conn)
		io.WriteString(conn, stage.Handshake("GET", "/cable?sleep=1", v.Nodes[0].Address, nil))
	}
	storm := func() error {
		if n := v.Scrape().Gauge("catenary_calls_waiting"); n < 260 {
			return fmt.Errorf("only %v calls wait", n)
		}
		return nil
	}
	if err := v.Nodes[0].Process.WaitFor(storm); err != nil {
		v.Fatal(err)
	}
	var worst time.Duration
	for range 10 {
		worst = max(worst, v.page())
	}
	if err := storm(); err != nil {
		v.Errorf("the storm was over before the pages were answered: %v", err)
	}
	v.Logf("a page took %v before the storm and up to %v during it", quiet.Round(time.Millisecond), worst.Round(time.Millisecond))
}

// page gets a page on a new connection and returns how long it took.
func (v *victim) page() time.Duration {
	v.Helper()
	client := http.Client{Timeout: stage.Patience, Transport: &http.Transport{DisableKeepAlives: true}}
	began := time.Now()
	response, err := client.Get("http://" + v.Nodes[0].Address + "/up")
	if err != nil {
		v.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		v.Errorf("a page was answered with %s", response.Status)
	}
	return time.Since(began)
}

// incompleteRequests sends requests without their body.
func incompleteRequests(v *victim) {
	for n := range dose(60, 300) {
		conn, err := stage.Connect("127.0.6.100", v.Nodes[0].Address)
		if err != nil {
			v.Fatal(err)
		}
		path := []string{"/cable", "/broadcast", "/_catenary", "/nowhere"}[n%4]
		v.hostile = append(v.hostile, conn)
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", path)
	}
	v.page()
}
