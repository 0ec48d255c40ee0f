package token

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TestVerifier_RejectsOddTimes: a time that is invalid or beyond all clocks is rejected or means
// what it says.
func TestVerifier_RejectsOddTimes(t *testing.T) {
	v := verifier(t, Options{Secret: secret})
	now := float64(time.Now().Unix())
	for name, claims := range map[string]map[string]any{
		"exp of long ago": {"exp": 1}, "exp 0": {"exp": 0}, "exp below 0": {"exp": -1}, "exp far below 0": {"exp": -1e300}, "exp as text": {"exp": "9999999999"},
		"exp as list": {"exp": []int{1}}, "exp true": {"exp": true}, "exp null": {"exp": nil}, "exp half a second ago": {"exp": now - 0.5}, "nbf to come": {"nbf": now + 60.5},
		"nbf never to come": {"nbf": 1e300}, "nbf as text": {"nbf": "1"}, "exp and nbf are not numbers": {"exp": map[string]any{}, "nbf": []any{}},
	} {
		if claims, err := v.check(sign(t, "HS256", []byte(secret), devise(claims))); err == nil {
			t.Errorf("%s: valid until %v", name, claims.Expires)
		}
	}
	for name, exp := range map[string]any{"half a second more": now + 60.5, "the year 5138": 1e11, "beyond all years": 1e300, "2^63": float64(1 << 63)} {
		claims, err := v.check(sign(t, "HS256", []byte(secret), devise(map[string]any{"exp": exp})))
		if err == nil && !claims.Expires.After(time.Now()) {
			t.Errorf("%s: valid, but expired at %v", name, claims.Expires)
		}
	}
}

// TestVerifier_IgnoresKeysInTheToken: a token's header leads to no file and no other host.
func TestVerifier_IgnoresKeysInTheToken(t *testing.T) {
	var asked atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer elsewhere.Close()
	v := verifier(t, Options{Secret: secret})
	for _, header := range [][]string{
		{"kid", "../../../../../../dev/null"}, {"kid", "/dev/null"}, {"kid", "x' UNION SELECT 'a"}, {"kid", "|id"}, {"kid", strings.Repeat("k", 4000)},
		{"jku", elsewhere.URL}, {"x5u", elsewhere.URL}, {"jwk", `{"kty":"oct","k":""}`}, {"x5c", "AAAA"}, {"typ", elsewhere.URL}, {"cty", "JWT"},
	} {
		for _, key := range []string{"", "\x00", "another secret of thirty-two bytes"} {
			if _, err := v.check(sign(t, "HS256", []byte(key), devise(nil), header...)); err != Signature {
				t.Errorf("%s %.40s, signed with %q: %v", header[0], header[1], key, err)
			}
		}
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("another host was asked %d times", n)
	}
}

// TestVerifier_UsesTheLastOfRepeatedClaims, as Ruby does: Rails must not see another user than we
// do.
func TestVerifier_UsesTheLastOfRepeatedClaims(t *testing.T) {
	v := verifier(t, Options{Secret: secret})
	text := signRaw(t, `{"sub":"7","exp":9999999999,"sub":"8","exp":1}`)
	if _, err := v.check(text); err != Expired {
		t.Errorf("the last exp does not count: %v", err)
	}
	claims, err := v.check(signRaw(t, `{"sub":"7","exp":1,"sub":"8","exp":9999999999}`))
	if err != nil || claims.Subject != "8" {
		t.Errorf("got %+v, %v", claims, err)
	}
}

// signRaw signs claims in their given form.
func signRaw(t *testing.T, claims string) string {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"HS256"}`)) + "." + encode([]byte(claims))
	signature, err := jwt.SigningMethodHS256.Sign(text, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + encode(signature)
}

// FuzzPlaces checks that Find returns a token or an error.
func FuzzPlaces(f *testing.F) {
	f.Add("token=a&token=b", "Bearer x", "actioncable-v1-json, eyJ.a.b", "jwt=c")
	f.Add("token=%zz;token=%00", "bearer  ", "token.x", "jwt=\"a b\"; jwt")
	f.Fuzz(func(t *testing.T, query, authorization, protocols, cookies string) {
		r := &http.Request{URL: httptest.NewRequest("GET", "/cable", nil).URL, Header: http.Header{
			"Authorization": strings.Split(authorization, "\n"), "Sec-Websocket-Protocol": strings.Split(protocols, "\n"), "Cookie": strings.Split(cookies, "\n"),
		}}
		r.URL.RawQuery = query
		for _, protocol := range []string{RawSubprotocol, "token."} {
			text, err := Places{Query: "token", Authorization: true, Subprotocol: protocol, Cookie: "jwt"}.Find(r)
			if (text == "") != (err != nil) {
				t.Errorf("found %q, and %v", text, err)
			}
		}
	})
}
