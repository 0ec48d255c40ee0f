package attack

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

func TestAttack_Handshakes(t *testing.T) {
	v := startVictim(t, "--limits-header-timeout", "2s")
	v.attack("handshakes from pages of other origins", crossSite)
	v.attack("handshakes that never end", slowloris)
	v.another("--limits-connections-per-address", fmt.Sprint(perAddress()), "--limits-header-timeout", "1m").attack("connections without a handshake", silentConnections)
	v.attack("handshakes with too many headers", headerBombs)
	v.another("--limits-handshakes-per-second-per-address", "2").attack("ten thousand handshakes from one address", storm)
	v.attack("handshakes with invalid bytes", rawBytes)
}

// crossSite connects from pages whose origins are not allowed.
func crossSite(v *victim) {
	host := v.Nodes[0].Address
	for _, origin := range []string{
		"http://evil.example", "null", "", "https://" + host, "http://" + host + ".evil.example", "http://evil.example/http://" + host, "http://" + host + "\t, http://" + host,
	} {
		if b := v.connectFrom("127.0.1.1", "/cable", "Origin: "+origin); b.Response.StatusCode != http.StatusNotFound {
			v.Errorf("origin %q: got %s", origin, b.Response.Status)
		}
	}
}

// slowloris keeps many handshakes open by sending a byte now and then.
func slowloris(v *victim) {
	request := stage.Handshake("GET", "/cable", v.Nodes[0].Address, nil)
	beginnings := []string{"", "G", "GET /" + strings.Repeat("a", 4000), request[:len(request)/2], request[:len(request)-2], "GET / HTTP/1.1\r\n"}
	var all sync.WaitGroup
	for n := range dose(120, 2000) {
		conn, err := stage.Connect("127.0.1.2", v.Nodes[0].Address)
		if err != nil {
			v.Fatal(err)
		}
		all.Go(func() {
			defer conn.Close()
			io.WriteString(conn, beginnings[n%len(beginnings)])
			go func() {
				for err := error(nil); err == nil; _, err = io.WriteString(conn, "x") {
					time.Sleep(300 * time.Millisecond)
				}
			}()
			conn.SetReadDeadline(time.Now().Add(stage.Patience))
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				v.Errorf("a handshake that began with %.20q stayed open", beginnings[n%len(beginnings)])
			}
		})
	}
	all.Wait()
	v.waitForCount("incomplete handshakes", incomplete, float64(dose(120, 2000)))
}

func perAddress() int { return dose(150, 2100) }

// silentConnections opens more connections from one address than allowed, and sends nothing on
// them.
func silentConnections(v *victim) {
	rejected := func(s stage.Scraped) float64 {
		return s.Reason("catenary_handshakes_rejected_total", "connections_per_address")
	}
	for n := 0; n < 3*perAddress(); n++ {
		conn, err := stage.Connect("127.0.1.7", v.Nodes[0].Address)
		if err != nil {
			v.Fatal(err)
		}
		v.hostile = append(v.hostile, conn)
		if n >= perAddress() && n%50 == 0 && rejected(v.Scrape()) > 0 {
			break
		}
	}
	v.waitForCount("rejected connections", rejected, 1)
	v.Expect(v.connectFrom("127.0.1.8", "/cable"), stage.Welcome)
}

func incomplete(s stage.Scraped) float64 {
	return s.Reason("catenary_handshakes_rejected_total", "incomplete")
}

// headerBombs sends far larger headers than any browser.
func headerBombs(v *victim) {
	bombs := map[string]string{
		"one of 1 MB":      "X: " + strings.Repeat("x", 1<<20) + "\r\n",
		"100,000":          strings.Repeat("X: y\r\n", 100_000),
		"100,000 names":    manyHeaders(100_000),
		"cookies of 90 kB": strings.Repeat("Cookie: a="+strings.Repeat("c", 3000)+"\r\n", 30),
	}
	for name, bomb := range bombs {
		if status := v.answer("127.0.1.3", "GET /cable HTTP/1.1\r\nHost: a\r\n"+bomb+"\r\n"); status != http.StatusRequestHeaderFieldsTooLarge {
			v.Errorf("headers, %s: got %d", name, status)
		}
	}
	for n := range dose(20, 200) { // many small headers, just below the limit
		b := v.connectFrom(fmt.Sprintf("127.0.1.%d", 30+n%10), "/cable?"+strings.Repeat("<", 8000), strings.Split(strings.TrimSpace(manyHeaders(3000)), "\r\n")...)
		v.Expect(b, stage.Welcome)
	}
}

func manyHeaders(n int) string {
	var all strings.Builder
	for i := range n {
		fmt.Fprintf(&all, "X%d: y\r\n", i)
	}
	return all.String()
}

// answer sends a request and returns the status of the response, 0 if there is none.
func (v *victim) answer(from, request string) int {
	v.Helper()
	conn, err := stage.Connect(from, v.Nodes[0].Address)
	if err != nil {
		v.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(stage.Patience))
	go io.WriteString(conn, request)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	response.Body.Close()
	return response.StatusCode
}

// storm imitates a script in a loop, or an office full of broken clients.
func storm(v *victim) {
	count := struct {
		sync.Mutex
		status map[int]int
	}{status: map[int]int{}}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range dose(1000, 10_000) / 8 {
				b, err := stage.DialFrom("127.0.1.4", v.Nodes[0].Address, stage.Handshake("GET", "/cable", v.Nodes[0].Address, nil))
				if err != nil {
					v.Error(err)
					return
				}
				b.Close()
				count.Lock()
				count.status[b.Response.StatusCode]++
				count.Unlock()
				if b.Response.StatusCode == http.StatusTooManyRequests && b.Response.Header.Get("Retry-After") == "" {
					v.Error("429 without Retry-After")
				}
			}
		})
	}
	v.Expect(v.connectFrom("127.0.1.5", "/cable"), stage.Welcome) // from another address
	all.Wait()
	if count.status[http.StatusTooManyRequests] == 0 || len(count.status) > 2 {
		v.Errorf("the statuses were %v", count.status)
	}
}

// rawBytes sends bytes that no browser sends.
func rawBytes(v *victim) {
	for name, change := range map[string]string{
		"Latin-1": "X-Name: n\xe9e", "invalid UTF-8": "Cookie: a=\xff\xfe\x80", "an underscore": "X_Forwarded_For: 1.2.3.4", "no scheme": "Authorization: \xf0\x28",
	} {
		v.Log(name)
		v.Expect(v.connectFrom("127.0.1.6", "/cable", change), stage.Welcome)
	}
	for name, path := range map[string]string{"NUL": "/cable?a=%00", "invalid UTF-8": "/cable?a=%ff&%ff=1", "half an escape": "/cable?a=%", "raw": "/cable?\xff\xfe"} {
		v.Log(name)
		b := v.connectFrom("127.0.1.6", path)
		if status := b.Response.StatusCode; status != http.StatusSwitchingProtocols && status != http.StatusBadRequest {
			v.Errorf("%s: got %s", name, b.Response.Status)
		}
	}
	for _, garbage := range []string{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "\x00\x00\x00\x00\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET /cable\r\n\r\n", strings.Repeat("\r\n", 40_000)} {
		if status := v.answer("127.0.1.6", garbage); status >= 500 {
			v.Errorf("%.12q: got %d", garbage, status)
		}
	}
	var conn net.Conn
	for range dose(100, 1000) { // connections that close at once
		conn, _ = stage.Connect("127.0.1.6", v.Nodes[0].Address)
		if conn != nil {
			conn.Close()
		}
	}
}
