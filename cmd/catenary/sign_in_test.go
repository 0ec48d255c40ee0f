package main

import (
	"testing"
)

// The founding story: a page signs in with Devise and a JSON Web Token, gives its consumer a function for the URL, and stays
// connected until it signs out, wherever that is.
func TestSignIn_APageComesBackWithAFreshTokenUntilItSignsOut(t *testing.T) {
	t.Parallel()
	e := startEdgeOn(t, 1, []string{"LAB_JWT_SECRET=" + tokenSecret}, jwtSettings("    scope: user\n    id_required: true\n"), "--proxy")
	browsers := chromium(t)
	page, stranger := newUser(t, browsers), newUser(t, browsers)
	site := "http://" + e.nodes[0].address

	stranger.open(site + "/account")
	evaluate[bool](stranger, `subscribe("7"); true`)
	stranger.expectText("#state", "refused")

	page.open(site + "/account")
	page.expectText("#state", "signed out")
	evaluate[bool](page, `signIn("7", 5).then(() => subscribe("7")); true`)
	page.expectText("#state", "connected")
	e.broadcasts("account", "hello")
	page.expectText("#message", "hello")

	page.expectText("#connects", "2") // the token has expired
	page.expectText("#state", "connected")
	e.broadcasts("account", "again")
	page.expectText("#message", "again")

	if err := e.app.ask(`POST /sign_out {"uid":"7"}`); err != nil {
		t.Fatal(err)
	}
	page.expectText("#state", "refused")
	if connects := page.text("#connects"); connects != "2" {
		t.Errorf("the page was connected %s times", connects)
	}
	if refused := page.text("#message"); refused != "again" {
		t.Errorf("the page shows %s", refused)
	}
	for _, p := range []*process{e.nodes[0].process, e.app.process} {
		if err := says(p, "eyJ"); err == nil {
			t.Errorf("a token is in the log of %s", p.command.Path)
		}
	}
}
