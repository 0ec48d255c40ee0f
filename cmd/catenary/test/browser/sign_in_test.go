package browser

import (
	"fmt"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// This is what catenary was made for: a page signs in with Devise and a JSON Web Token, gives its
// consumer a function for the URL, and stays connected until the user signs out, in whatever tab.
func TestSignIn_APageReconnectsWithFreshTokensUntilTheUserSignsOut(t *testing.T) {
	t.Parallel()
	e := stage.StartEdgeOn(t, 1, []string{"LAB_JWT_SECRET=" + stage.TokenSecret}, stage.JWTSettings("    scope: user\n    id_required: true\n"), "--proxy")
	browsers := stage.StartChromium(t)
	page, stranger := stage.NewUser(t, browsers), stage.NewUser(t, browsers)
	site := "http://" + e.Nodes[0].Address

	stranger.Open(site + "/account")
	stage.Evaluate[bool](stranger, `subscribe("7"); true`)
	stranger.ExpectText("#state", "refused")

	for life := 5; ; life *= 2 { // on a busy machine the token must live longer for a broadcast to arrive before it expires
		page.Open(site + "/account")
		page.ExpectText("#state", "signed out")
		stage.Evaluate[bool](page, fmt.Sprintf(`signIn("7", %d).then(() => subscribe("7")); true`, life))
		page.ExpectThat("an answer", `["connected", "refused"].includes(document.getElementById("state").textContent)`)
		e.Broadcast("account", "hello")
		page.ExpectThat("hello, or the end of the token",
			`document.getElementById("message").textContent === "hello" || document.getElementById("connects").textContent !== "1"`)
		if page.Text("#message") == "hello" {
			break
		}
		if life > 60 {
			t.Fatalf("with a token for %d seconds, the page shows\n%s", life, page.Text("body"))
		}
	}

	page.ExpectText("#connects", "2") // the token has expired
	page.ExpectText("#state", "connected")
	e.Broadcast("account", "again")
	page.ExpectText("#message", "again")

	if err := e.App.Ask(`POST /sign_out {"uid":"7"}`); err != nil {
		t.Fatal(err)
	}
	page.ExpectText("#state", "refused")
	if connects := page.Text("#connects"); connects != "2" {
		t.Errorf("the page connected %s times", connects)
	}
	if message := page.Text("#message"); message != "again" {
		t.Errorf("the page shows %s", message)
	}
	for _, p := range []*stage.Process{e.Nodes[0].Process, e.App.Process} {
		if err := stage.Wrote(p, "eyJ"); err == nil {
			t.Errorf("a token is in the log of %s", p.Command.Path)
		}
	}
}
