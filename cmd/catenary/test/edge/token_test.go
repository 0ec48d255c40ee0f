package edge

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
	"github.com/golang-jwt/jwt/v5"
)

// connects returns the entries of connect in the app's event log.
func connects(e *stage.Edge) (queries []string) {
	e.Helper()
	log, err := e.App.Request("GET", "/events", "")
	if err != nil {
		e.Fatal(err)
	}
	for part := range strings.SplitSeq(log, "{") {
		if strings.Contains(part, `"event":"connect"`) {
			queries = append(queries, part)
		}
	}
	return queries
}

// deviseSample returns the configuration that docs/edge.md shows for devise-jwt, with the secret
// filled in.
func deviseSample(t *testing.T) string {
	t.Helper()
	_, sample, found := strings.Cut(stage.ReadDoc(t, "edge.md"), "# config/catenary.yml\nproduction:\n")
	sample, _, ends := strings.Cut(sample, "```")
	filled := strings.Replace(sample, `<%= ENV["DEVISE_JWT_SECRET_KEY"] %>`, `"`+stage.TokenSecret+`"`, 1)
	if !found || !ends || filled == sample {
		t.Fatalf("docs/edge.md has no sample for devise-jwt: %s", sample)
	}
	return filled
}

func TestEdge_DeviseTokensAreCheckedBeforeRails(t *testing.T) {
	t.Parallel()
	e := stage.StartEdge(t, 1, deviseSample(t)+"    subprotocol: raw\n    cookie: jwt\n")
	good := stage.DeviseToken(t, "")

	key, _ := rsa.GenerateKey(rand.Reader, 2048)
	rs, _ := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{"sub": "7", "exp": time.Now().Unix() + 60}).SignedString(key)
	none, _ := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{"sub": "7", "exp": time.Now().Unix() + 60}).SignedString(jwt.UnsafeAllowNoneSignatureType)
	for name, token := range map[string]string{
		"none": "", "forged": good[:len(good)-4] + "AAAA", "expired": stage.DeviseToken(t, `"exp" => now - 1`), "another scope": stage.DeviseToken(t, `"scp" => "admin"`),
		"no jti": stage.DeviseToken(t, `"jti" => nil`), "alg none": none, "another algorithm": rs, "10 kB": stage.DeviseToken(t, `"x" => "x" * 10_000`),
	} {
		t.Log(name)
		b := e.Connect(0, "/cable?token="+token)
		e.Expect(b, stage.Unauthorized, "(close 1000)")
	}
	if asked := connects(e); len(asked) != 0 {
		t.Fatalf("Rails ran connect: %s", asked)
	}
	e.Expect(e.Connect(0, "/cable?uid=7&token="+good), stage.Welcome)
	e.Expect(e.Connect(0, "/cable", "Authorization: Bearer "+good), stage.Welcome)
	e.Expect(e.Connect(0, "/cable", "Cookie: jwt="+good), stage.Welcome)
	b := e.Connect(0, "/cable", "Sec-WebSocket-Protocol: actioncable-v1-json, actioncable-unsupported, "+good)
	e.Expect(b, stage.Welcome)
	if chosen := b.Response.Header.Get("Sec-WebSocket-Protocol"); chosen != "actioncable-v1-json" {
		t.Errorf("chose %q", chosen)
	}
	if asked := connects(e); len(asked) != 4 || !strings.Contains(asked[0], "token="+good) {
		t.Errorf("Rails did not run connect 4 times, the first time with the token: %s", asked)
	}
}

func TestEdge_AnExpiredTokenDisconnectsAndAFreshOneReconnects(t *testing.T) {
	t.Parallel()
	e := stage.StartEdge(t, 1, stage.JWTSettings(""))
	var old string
	var b *stage.Browser
	for life := 3; ; life *= 2 { // on a busy machine the token must live longer to be valid when it arrives
		old = stage.DeviseToken(t, fmt.Sprintf(`"exp" => now + %d`, life))
		b = e.Connect(0, "/cable?token="+old)
		first, _ := stage.NextFrame(b)
		if first.Text == stage.Welcome {
			break
		}
		if first.Text != stage.Unauthorized || life > 60 {
			t.Fatalf("got %s", first)
		}
	}
	e.Expect(b, `{"type":"disconnect","reason":"token_expired","reconnect":true}`, "(close 1000)")
	e.Expect(e.Connect(0, "/cable?token="+old), stage.Unauthorized, "(close 1000)")
	e.Expect(e.Connect(0, "/cable?token="+stage.DeviseToken(t, "")), stage.Welcome)
}

func TestEdge_AUserIsDisconnectedOnAllNodes(t *testing.T) {
	t.Parallel()
	e := stage.StartEdge(t, 2, stage.JWTSettings(""))
	laptop, phone := stage.DeviseToken(t, `"jti" => "laptop"`), stage.DeviseToken(t, `"jti" => "phone"`)
	other := e.Connect(1, "/cable?uid=8&token="+stage.DeviseToken(t, `"sub" => "8"`))
	e.Expect(other, stage.Welcome)
	both := func() (a, b *stage.Browser) {
		a, b = e.Connect(0, "/cable?uid=7&token="+laptop), e.Connect(1, "/cable?uid=7&token="+phone)
		e.Expect(a, stage.Welcome)
		e.Expect(b, stage.Welcome)
		return a, b
	}
	gone, goneForGood := `{"type":"disconnect","reason":"remote","reconnect":true}`, `{"type":"disconnect","reason":"remote","reconnect":false}`

	expectOutput := func(want string, arguments ...string) {
		t.Helper()
		if output := e.Disconnect(arguments...); output != want {
			t.Errorf("disconnect %v printed %q", arguments, output)
		}
	}

	a, b := both()
	expectOutput("2 connections closed, on 2 nodes", "--sub", "7")
	e.Expect(a, gone, "(close 1000)")
	e.Expect(b, gone, "(close 1000)")

	a, b = both()
	expectOutput("1 connection closed", "--jti", "phone", "--reconnect=false")
	e.Expect(b, goneForGood, "(close 1000)")
	expectOutput("1 connection closed", "--identifier", "gid://app/User/7")
	e.Expect(a, gone, "(close 1000)")
	expectOutput("no matching connection", "--identifier", "gid://app/User/7")
	expectOutput("no matching connection", "--sub", "nobody")

	a, b = both()
	out, err := exec.Command("curl", "-sS", "--fail", "-H", "Content-Type: application/json", "-d", `{"sub":"7","reconnect":false}`, "http://"+e.Nodes[0].Operations+"/disconnect").CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != `{"connections":2,"nodes":2}` {
		t.Fatalf("POST /disconnect: %v %s", err, out)
	}
	e.Expect(a, goneForGood, "(close 1000)")
	e.Expect(b, goneForGood, "(close 1000)")

	c := e.Connect(0, "/cable?uid=7&token="+laptop)
	e.Expect(c, stage.Welcome)
	if err := e.Redis.Do(`PUBLISH _catenary/disconnect {"revocation":"{\"sub\":\"7\"}","signature":"00"}`); err != nil {
		t.Fatal(err)
	}
	if err := e.Nodes[0].Process.WaitFor(func() error { return stage.Wrote(e.Nodes[0].Process, "signature is wrong") }); err != nil {
		t.Fatal(err)
	}
	for _, left := range []*stage.Browser{c, other} {
		if err := left.CheckQuiet(); err != nil {
			t.Errorf("a browser that was not meant: %v", err)
		}
	}
}
