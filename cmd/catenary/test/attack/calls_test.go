package attack

import (
	"bufio"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

func TestAttack_Calls(t *testing.T) {
	v := startFront(t)
	v.attack("calls to Rails from outside", callsFromOutside)
	v.attack("forged calls to Puma", forgedCalls)
	v.attack("calls smuggled in other requests", smuggledCalls)
}

// startFront starts catenary as the web server in front of everything, with Rails as its child.
func startFront(t *testing.T) *victim {
	t.Helper()
	if !full {
		t.Parallel()
	}
	redis, err := stage.StartRedis()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Close)
	path, err := stage.Binary()
	if err != nil {
		t.Fatal(err)
	}
	front, rails := &stage.Catenary{Address: stage.FreeAddress(), Operations: stage.FreeAddress()}, &stage.App{Address: stage.FreeAddress()}
	env := []string{"REDIS_URL=" + redis.URL(), "CATENARY_SECRET=" + stage.SecretKeyBase, "RAILS=" + stage.RailsVersion(), "LAB_LOG_LEVEL=fatal", "RUBYLIB=" + stage.ProjectRoot + "/rpc/rails/lib"}
	release := stage.BootTurn()
	defer release()
	front.Process, err = stage.Start(stage.ProjectRoot, env, path, "--listen", front.Address, "--operations-listen", front.Operations,
		"--backend-url", rails.URL(), "--broadcasts-redis-url", redis.URL(), "--trusted-proxies", "10.0.0.0/8", "--shutdown-grace", "2s", "--", "script/puma", "testdata/lab")
	if err != nil {
		t.Fatal(err)
	}
	rails.Process = front.Process
	t.Cleanup(func() { front.Process.Stop(t) })
	if err := front.Process.WaitFor(front.Ready); err != nil {
		t.Fatal(err)
	}
	release()
	return (&victim{Edge: &stage.Edge{T: t, Redis: redis, App: rails, Nodes: []*stage.Catenary{front}}}).measureBaseline()
}

// A forgery is a call as catenary sends it, with changes.
type forgery struct {
	path, body    string
	secret, nonce string
	age           time.Duration
	signedBody    string // "": body
	more          string // further header lines
}

const anyCall = `{"v":1,"node":"n","calls":[]}`

func (f forgery) String() string {
	now, nonce, signed := strconv.FormatInt(time.Now().Add(-f.age).Unix(), 10), f.nonce, f.signedBody
	if nonce == "" {
		var random [16]byte
		rand.Read(random[:])
		nonce = hex.EncodeToString(random[:])
	}
	if signed == "" {
		signed = f.body
	}
	mac := hmac.New(sha256.New, hmacOf([]byte(f.secret), "catenary rpc v1"))
	fmt.Fprintf(mac, "v1\n%s\n%s\n%s", now, nonce, signed)
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\nCatenary-Time: %s\r\nCatenary-Nonce: %s\r\nCatenary-Signature: %x\r\n%s\r\n%s",
		f.path, len(f.body), now, nonce, mac.Sum(nil), f.more, f.body)
}

func hmacOf(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	io.WriteString(mac, text)
	return mac.Sum(nil)
}

// sendRaw sends raw bytes and returns the first response.
func (v *victim) sendRaw(address, request string) (status int, body string) {
	v.Helper()
	conn, err := stage.Connect("", address)
	if err != nil {
		v.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(stage.Patience))
	go io.WriteString(conn, request)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		v.Fatalf("no answer to %.60q: %v", request, err)
	}
	text, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(text)
}

// spellings are variants of the path that a server could take for it.
var spellings = []string{
	"/_catenary", "/_catenary/", "//_catenary", "/_catenary//", "/%5fcatenary", "/%5Fcatenary", "/_CATENARY", "/_Catenary", "/./_catenary", "/x/../_catenary",
	"/_catenary?x=1", "/_catenary;x", "/_catenary%2f", "/_catenary%20", "/_catenary%00", "/%2f_catenary", "/%2e/_catenary", "/_catenar%79", "/_catenary.json", "/cable/../_catenary",
	"http://localhost/_catenary", "http://localhost//_catenary", "/_catenary#x",
}

// callsFromOutside sends correctly signed calls that catenary must not pass on.
func callsFromOutside(v *victim) {
	front := v.Nodes[0].Address
	for _, path := range spellings {
		for _, more := range []string{"", "Connection: close, X-Forwarded-For\r\n", "X-Forwarded-For: 127.0.0.1\r\nForwarded: for=127.0.0.1\r\n"} {
			status, body := v.sendRaw(front, forgery{path: path, body: anyCall, secret: stage.SecretKeyBase, more: more}.String())
			if status != http.StatusNotFound && status != http.StatusBadRequest || strings.Contains(body, `"process":"b-`) || strings.Contains(body, "catenary") {
				v.Errorf("%s: %d %.200s", path, status, body)
			}
		}
	}
	for _, header := range []string{"X-HTTP-Method-Override: POST\r\n", "X-Original-URL: /_catenary\r\n", "X-Rewrite-URL: /_catenary\r\n"} {
		if _, body := v.sendRaw(front, forgery{path: "/up?_method=POST", body: anyCall, secret: stage.SecretKeyBase, more: header}.String()); strings.Contains(body, `"process":"b-`) || strings.Contains(body, "catenary") {
			v.Errorf("%s: %.200s", header, body)
		}
	}
}

// forgedCalls sends forged calls to Puma, from this machine and, by X-Forwarded-For, from another.
func forgedCalls(v *victim) {
	good := forgery{path: "/_catenary", body: anyCall, secret: stage.SecretKeyBase, nonce: strings.Repeat("0f", 16)}
	status, body := v.sendRaw(v.App.Address, good.String())
	if status != http.StatusOK || !strings.Contains(body, `"process":"b-`) {
		v.Fatalf("a good call was answered with %d %s", status, body)
	}
	forged := map[string]forgery{
		"repeated":              good,
		"repeated in uppercase": {path: "/_catenary", body: anyCall, secret: stage.SecretKeyBase, nonce: strings.Repeat("0F", 16)},
		"with another secret":   {path: "/_catenary", body: anyCall, secret: "guessed"},
		"without a secret":      {path: "/_catenary", body: anyCall},
		"a day old":             {path: "/_catenary", body: anyCall, secret: stage.SecretKeyBase, age: 24 * time.Hour},
		"two minutes old":       {path: "/_catenary", body: anyCall, secret: stage.SecretKeyBase, age: 2 * time.Minute},
		"a day ahead":           {path: "/_catenary", body: anyCall, secret: stage.SecretKeyBase, age: -24 * time.Hour},
		"with another body":     {path: "/_catenary", body: `{"v":1,"node":"m","calls":[]}`, signedBody: anyCall, secret: stage.SecretKeyBase},
		"with a bad nonce":      {path: "/_catenary", body: anyCall, secret: stage.SecretKeyBase, nonce: strings.Repeat("0", 31) + "g"},
		"with a short nonce":    {path: "/_catenary", body: anyCall, secret: stage.SecretKeyBase, nonce: "1"},
	}
	_, unknown := v.sendRaw(v.App.Address, "POST /unknown HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.1\r\nContent-Length: 0\r\n\r\n")
	for name, f := range forged {
		if status, body := v.sendRaw(v.App.Address, f.String()); status != http.StatusForbidden || strings.Contains(body, `"process":"b-`) {
			v.Errorf("a call %s: %d %.200s", name, status, body)
		}
		f.more = "X-Forwarded-For: 192.0.2.1\r\n"
		if status, body := v.sendRaw(v.App.Address, f.String()); status != http.StatusNotFound || body != unknown {
			v.Errorf("a call %s, from another machine: %d %.200s", name, status, body)
		}
	}
	for _, path := range spellings[1:] {
		if strings.ContainsAny(path, "?#") || path == "http://localhost/_catenary" {
			continue // the path itself; in production Puma is not reachable from outside
		}
		if status, body := v.sendRaw(v.App.Address, forgery{path: path, body: anyCall, secret: stage.SecretKeyBase}.String()); status == http.StatusOK || strings.Contains(body, `"process":"b-`) {
			v.Errorf("%s: %d %.200s", path, status, body)
		}
	}
	for name, body := range map[string]string{
		"invalid JSON": "{", "a number": "1", "deep": strings.Repeat("[", 100_000), "no call": `{"v":1,"calls":[1,null,"x",{}]}`, "invalid UTF-8": "{\"v\":1,\"node\":\"\xff\",\"calls\":[]}", "another version": `{"v":2}`,
	} { // signed, as if catenary had gone wrong
		v.Log(name)
		v.sendRaw(v.App.Address, forgery{path: "/_catenary", body: body, secret: stage.SecretKeyBase}.String())
	}
}

// smuggledCalls hides calls in requests whose end catenary and Puma could see in different places.
func smuggledCalls(v *victim) {
	call := forgery{path: "/_catenary", body: anyCall, secret: stage.SecretKeyBase}
	chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(call.String()), call)
	head := func(lines ...string) string {
		return "POST /up HTTP/1.1\r\nHost: localhost\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n"
	}
	shapes := map[string]string{
		"length and chunks":      head("Content-Length: 4", "Transfer-Encoding: chunked") + "0\r\n\r\n" + call.String(),
		"chunks and length":      head("Transfer-Encoding: chunked", fmt.Sprintf("Content-Length: %d", 5+len(call.String()))) + "0\r\n\r\n" + call.String(),
		"two lengths":            head("Content-Length: 0", fmt.Sprintf("Content-Length: %d", len(call.String()))) + call.String(),
		"a list of lengths":      head("Content-Length: 0, 5") + call.String(),
		"a length with a sign":   head("Content-Length: +0") + call.String(),
		"a hexadecimal length":   head("Content-Length: 0x0") + call.String(),
		"a folded length":        head("Content-Length:\r\n 0") + call.String(),
		"a length with a blank":  head("Content-Length : 0") + call.String(),
		"chunks with a blank":    head("Transfer-Encoding : chunked") + chunk,
		"chunks after a tab":     head("Transfer-Encoding:\tchunked") + chunk,
		"folded chunks":          head("Transfer-Encoding:\r\n chunked") + chunk,
		"other chunks":           head("Transfer-Encoding: xchunked") + chunk,
		"chunks, then nothing":   head("Transfer-Encoding: chunked, identity") + chunk,
		"chunks twice":           head("Transfer-Encoding: chunked", "Transfer-Encoding: identity") + chunk,
		"quoted chunks":          head(`Transfer-Encoding: "chunked"`) + chunk,
		"an extension":           head("Transfer-Encoding: chunked") + "1;\n0\r\n\r\n" + call.String(),
		"a huge chunk":           head("Transfer-Encoding: chunked") + "ffffffffffffffff\r\n" + call.String(),
		"a chunk that wraps":     head("Transfer-Encoding: chunked") + "10000000000000000\r\n" + call.String(),
		"a trailer":              head("Transfer-Encoding: chunked", "Trailer: Content-Length") + "0\r\nContent-Length: 0\r\n\r\n" + call.String(),
		"bare line feeds":        strings.ReplaceAll(head("Content-Length: 0"), "\r\n", "\n") + call.String(),
		"bare returns":           "POST /up HTTP/1.1\r\nHost: localhost\r\nX: a\r\rContent-Length: 0\r\n\r\n" + call.String(),
		"a header in a header":   head("X: a\nTransfer-Encoding: chunked", "Content-Length: 0") + call.String(),
		"a zero in a header":     head("X: a\x00b", "Content-Length: 0") + call.String(),
		"HTTP/1.0 and chunks":    strings.Replace(head("Transfer-Encoding: chunked"), "1.1", "1.0", 1) + chunk,
		"a length in a GET":      strings.Replace(head(fmt.Sprintf("Content-Length: %d", len(call.String()))), "POST", "GET", 1) + call.String(),
		"an upgrade elsewhere":   strings.Replace(head("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: "+stage.WebSocketKey), "POST", "GET", 1) + call.String(),
		"an upgrade to HTTP/2":   strings.Replace(head("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"), "POST", "GET", 1) + call.String(),
		"a handshake and a call": stage.Handshake("GET", "/cable", "localhost", []string{"Sec-WebSocket-Version: 12"}) + call.String(),
		"a broken handshake":     stage.Handshake("GET", "/cable", "localhost", []string{"Content-Length: 5"}) + call.String(),
		"a tunnel":               "CONNECT " + v.App.Address + " HTTP/1.1\r\nHost: " + v.App.Address + "\r\n\r\n" + call.String(),
	}
	for name, raw := range shapes {
		if answers := v.exchangeRaw(raw); strings.Contains(answers, `"process":"b-`) {
			v.Errorf("%s: the call was answered:\n%.1000s", name, answers)
		}
	}
	// The proxy must not give access to the operations listener.
	for _, target := range []string{"http://" + v.Nodes[0].Operations + "/metrics", "http://" + v.Nodes[0].Operations + "/ready"} {
		if answers := v.exchangeRaw("GET " + target + " HTTP/1.1\r\nHost: " + v.Nodes[0].Operations + "\r\nConnection: close\r\n\r\n"); strings.Contains(answers, "200 OK") {
			v.Errorf("%s: %.200s", target, answers)
		}
	}
}

// exchangeRaw sends raw bytes to catenary and returns all that comes back, until the connection
// closes or nothing comes for a while.
func (v *victim) exchangeRaw(raw string) string {
	v.Helper()
	conn, err := stage.Connect("", v.Nodes[0].Address)
	if err != nil {
		v.Fatal(err)
	}
	defer conn.Close()
	go io.WriteString(conn, raw)
	var all []byte
	for part := make([]byte, 1<<16); ; {
		wait := 300 * time.Millisecond
		if len(all) == 0 {
			wait = 3 * time.Second
		}
		conn.SetReadDeadline(time.Now().Add(wait))
		n, err := conn.Read(part)
		all = append(all, part[:n]...)
		if err != nil {
			return string(all)
		}
	}
}
