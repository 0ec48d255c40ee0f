package token

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cable/internal/patience"
	"github.com/golang-jwt/jwt/v5"
)

const secret = "a secret of thirty-two bytes or more"

func verifier(t testing.TB, o Options) *Verifier {
	t.Helper()
	o.Log = slog.New(slog.DiscardHandler)
	v, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// devise returns claims as devise-jwt writes them; "(none)" removes one.
func devise(changes map[string]any) jwt.MapClaims {
	now := time.Now().Unix()
	claims := jwt.MapClaims{"sub": "7", "scp": "user", "aud": nil, "iat": now, "exp": now + 3600, "jti": "0b1e"}
	for name, value := range changes {
		if claims[name] = value; value == "(none)" {
			delete(claims, name)
		}
	}
	return claims
}

func sign(t testing.TB, algorithm string, key any, claims jwt.MapClaims, header ...string) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.GetSigningMethod(algorithm), claims)
	for i := 0; i+1 < len(header); i += 2 {
		token.Header[header[i]] = header[i+1]
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func pemFile(t testing.TB, key crypto.PublicKey) (file string, text []byte) {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	file = filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file, text
}

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey { key, _ := rsa.GenerateKey(rand.Reader, 2048); return key })

func TestVerifier_AcceptsTokensOfDeviseJWT(t *testing.T) {
	script := `require "jwt"; require "securerandom"
		puts JWT.encode({ "jti" => "u-1", "sub" => "7", "scp" => "user", "aud" => nil, "iat" => Time.now.to_i, "exp" => Time.now.to_i + 3600 }, ARGV[0], "HS256")`
	out, err := exec.Command("ruby", "-e", script, secret).Output()
	if err != nil {
		t.Fatalf("ruby-jwt is needed, run script/install rails: %v", err)
	}
	v := verifier(t, Options{Secret: secret, Scope: "user", IDRequired: true})
	claims, err := v.check(strings.TrimSpace(string(out)))
	if err != nil || claims.Subject != "7" || claims.ID != "u-1" || time.Until(claims.Expires) < 59*time.Minute {
		t.Errorf("got %+v, %v", claims, err)
	}
}

func TestVerifier_GivesTheReasonOfARejection(t *testing.T) {
	hs := func(changes map[string]any) string { return sign(t, "HS256", []byte(secret), devise(changes)) }
	asked := Options{Secret: secret, Issuer: "me", Audience: []string{"web", "app"}, Scope: "user", IDRequired: true}
	good := map[string]any{"iss": "me", "aud": "web"}
	but := func(name string, value any) map[string]any {
		return map[string]any{"iss": "me", "aud": "web", name: value}
	}
	now := time.Now().Unix()
	parts := strings.Split(hs(good), ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + "."
	for name, c := range map[string]struct {
		token string
		want  error
	}{
		"good":                {hs(good), nil},
		"audience in a list":  {hs(but("aud", []string{"x", "app"})), nil},
		"scope in a list":     {hs(but("scp", []string{"admin", "user"})), nil},
		"scope among words":   {hs(but("scp", "admin user")), nil},
		"subject is a number": {hs(but("sub", 7)), nil},
		"forged":              {sign(t, "HS256", []byte("another secret"), devise(good)), Signature},
		"claims changed":      {parts[0] + "." + strings.Split(hs(but("sub", "1")), ".")[1] + "." + parts[2], Signature},
		"signature cut":       {parts[0] + "." + parts[1] + ".", Signature},
		"alg none":            {none, Algorithm},
		"alg unknown":         {base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS1"}`)) + "." + parts[1] + "." + parts[2], Algorithm},
		"no alg":              {base64.RawURLEncoding.EncodeToString([]byte(`{}`)) + "." + parts[1] + "." + parts[2], Algorithm},
		"other algorithm":     {sign(t, "HS512", []byte(secret), devise(good)), Algorithm},
		"critical extension":  {sign(t, "HS256", []byte(secret), devise(good), "crit", "b64"), Malformed},
		"expired":             {hs(but("exp", now-1)), Expired},
		"no expiry":           {hs(but("exp", "(none)")), ClaimMissing},
		"expiry is text":      {hs(but("exp", "tomorrow")), Malformed},
		"expiry is zero":      {hs(but("exp", 0)), Expired},
		"too early":           {hs(but("nbf", now+60)), TooEarly},
		"wrong issuer":        {hs(but("iss", "you")), Issuer},
		"no issuer":           {hs(but("iss", "(none)")), ClaimMissing},
		"wrong audience":      {hs(but("aud", "else")), Audience},
		"audience is null":    {hs(but("aud", nil)), ClaimMissing},
		"audience is number":  {hs(but("aud", 5)), ClaimMissing},
		"wrong scope":         {hs(but("scp", "users")), Scope},
		"no scope":            {hs(but("scp", "(none)")), Scope},
		"no jti":              {hs(but("jti", "(none)")), ClaimMissing},
		"subject is a list":   {hs(but("sub", []int{7})), Malformed},
		"no token":            {"hello", Malformed},
		"two parts":           {"a.b", Malformed},
		"many parts":          {strings.Repeat("a.", 4000), Malformed},
		"10 kB":               {hs(but("x", strings.Repeat("x", 10<<10))), TooLong},
		"not base64":          {"!.!.!", Malformed},
	} {
		claims, err := verifier(t, asked).check(c.token)
		if err != c.want || (err == nil) != (claims != nil) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

func TestVerifier_ChecksTimesWithTheLeeway(t *testing.T) {
	v := verifier(t, Options{Secret: secret, Leeway: time.Minute})
	expires := time.Now().Unix() - 30
	claims, err := v.check(sign(t, "HS256", []byte(secret), devise(map[string]any{"exp": expires})))
	if err != nil || claims.Expires.Unix() != expires+60 {
		t.Errorf("got %+v, %v", claims, err)
	}
}

func TestVerifier_AcceptsTwoSecretsDuringRotation(t *testing.T) {
	v := verifier(t, Options{Secret: "new", RotationSecret: "old"})
	for key, want := range map[string]error{"new": nil, "old": nil, "older": Signature} {
		if _, err := v.check(sign(t, "HS256", []byte(key), devise(nil))); err != want {
			t.Errorf("%s: got %v, want %v", key, err, want)
		}
	}
}

func TestVerifier_AcceptsEveryAlgorithmWithItsKeyOnly(t *testing.T) {
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	p521, _ := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	keys := map[string]crypto.Signer{
		"RS256": rsaKey(), "RS384": rsaKey(), "RS512": rsaKey(), "PS256": rsaKey(), "PS384": rsaKey(), "PS512": rsaKey(),
		"ES256": p256, "ES384": p384, "ES512": p521, "EdDSA": ed,
	}
	for algorithm, key := range keys {
		file, text := pemFile(t, key.Public())
		v := verifier(t, Options{Algorithms: []string{algorithm}, PublicKeyFiles: []string{file}})
		if _, err := v.check(sign(t, algorithm, key, devise(nil))); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
		if _, err := v.check(sign(t, "HS256", text, devise(nil))); err != Algorithm {
			t.Errorf("%s: HMAC with the public key: got %v", algorithm, err)
		}
		both := verifier(t, Options{Secret: secret, PublicKeyFiles: []string{file}, Algorithms: []string{"HS256", algorithm}})
		if _, err := both.check(sign(t, "HS256", text, devise(nil))); err != Signature {
			t.Errorf("%s: HMAC with the public key, where HMAC is allowed too: got %v", algorithm, err)
		}
	}
}

func TestNew_NamesTheWrongSetting(t *testing.T) {
	file, _ := pemFile(t, rsaKey().Public())
	private := filepath.Join(t.TempDir(), "private.pem")
	os.WriteFile(private, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey())}), 0o600)
	for want, o := range map[string]Options{
		"no key to verify":           {},
		"is unknown":                 {Secret: secret, Algorithms: []string{"none"}},
		"HS256 needs jwt.secret":     {PublicKeyFiles: []string{file}, Algorithms: []string{"HS256"}},
		"ES256 needs a matching key": {PublicKeyFiles: []string{file}, Algorithms: []string{"ES256"}},
		"jwt.secret is unused":       {Secret: secret, PublicKeyFiles: []string{file}, Algorithms: []string{"RS256"}},
		"RSA PRIVATE KEY":            {PublicKeyFiles: []string{private}},
		"no such file":               {PublicKeyFiles: []string{"missing.pem"}},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// provider publishes a JWKS as identity providers do.
type provider struct {
	*httptest.Server
	mu   sync.Mutex
	keys map[string]*rsa.PrivateKey
	down bool
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		http.Error(w, "down", http.StatusInternalServerError)
		return
	}
	set := []map[string]string{}
	for kid, key := range p.keys {
		set = append(set, map[string]string{"kty": "RSA", "kid": kid, "use": "sig",
			"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes())})
	}
	json.NewEncoder(w).Encode(map[string]any{"keys": set})
}

func (p *provider) set(down bool, keys map[string]*rsa.PrivateKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down, p.keys = down, keys
}

func TestVerifier_FetchesTheKeysOfAJWKS(t *testing.T) {
	p := &provider{keys: map[string]*rsa.PrivateKey{"one": rsaKey()}}
	p.Server = httptest.NewServer(p)
	defer p.Close()
	v := verifier(t, Options{JWKSURL: p.URL})
	token := func(kid string, key *rsa.PrivateKey) string { return sign(t, "RS256", key, devise(nil), "kid", kid) }
	if _, err := v.check(token("one", rsaKey())); err != ErrUnavailable {
		t.Errorf("before the first fetch: got %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { v.Run(ctx) })
	patience.Eventually(t, "the keys have been fetched", func() bool { return v.keys.jwks.keys.Load() != nil })
	next, _ := rsa.GenerateKey(rand.Reader, 2048)
	p.set(false, map[string]*rsa.PrivateKey{"one": rsaKey(), "two": next})
	for _, c := range []struct {
		name, token string
		want        error
	}{
		{"known", token("one", rsaKey()), nil},
		{"no kid", sign(t, "RS256", rsaKey(), devise(nil)), nil},
		{"a new one is fetched", token("two", next), nil},
		{"the wrong one", token("one", next), Signature},
		{"another algorithm", sign(t, "HS256", []byte("one"), devise(nil), "kid", "one"), Algorithm},
		{"unknown, and fetched too recently", token("three", next), ErrUnavailable},
	} {
		if _, err := v.check(c.token); err != c.want {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

func TestPlaces_FindTheToken(t *testing.T) {
	all := Places{Query: "token", Authorization: true, Subprotocol: RawSubprotocol, Cookie: "jwt"}
	prefixed := Places{Subprotocol: "anycable-token."}
	for name, c := range map[string]struct {
		places Places
		url    string
		header []string
		want   string
		err    error
	}{
		"query":             {all, "/cable?a=b&token=t", nil, "t", nil},
		"authorization":     {all, "/cable", []string{"Authorization", "bearer t"}, "t", nil},
		"other scheme":      {all, "/cable", []string{"Authorization", "Basic t"}, "", Missing},
		"subprotocol":       {all, "/cable", []string{"Sec-WebSocket-Protocol", "actioncable-v1-json, actioncable-unsupported, eyJ.b.c"}, "eyJ.b.c", nil},
		"prefix":            {prefixed, "/cable?token=no", []string{"Sec-WebSocket-Protocol", "actioncable-v1-json, anycable-token.t"}, "t", nil},
		"cookie":            {all, "/cable", []string{"Cookie", "a=b; jwt=t"}, "t", nil},
		"empty":             {all, "/cable?token=", nil, "", Missing},
		"none":              {all, "/cable", nil, "", Missing},
		"twice":             {all, "/cable?token=a&token=b", nil, "", Repeated},
		"the query first":   {all, "/cable?token=t", []string{"Cookie", "jwt=u"}, "t", nil},
		"nowhere to look":   {Places{}, "/cable?token=t", []string{"Cookie", "jwt=u"}, "", Missing},
		"unreadable escape": {all, "/cable?x=%zz&token=t", nil, "t", nil},
	} {
		r := httptest.NewRequest("GET", c.url, nil)
		for i := 0; i+1 < len(c.header); i += 2 {
			r.Header.Add(c.header[i], c.header[i+1])
		}
		if got, err := c.places.Find(r); got != c.want || err != c.err {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

func TestVerifier_AcceptsNoTokenIfItIsOptional(t *testing.T) {
	v := verifier(t, Options{Secret: secret, Optional: true, Places: Places{Query: "token"}})
	if claims, err := v.Verify(httptest.NewRequest("GET", "/cable", nil)); claims != nil || err != nil {
		t.Errorf("got %v, %v", claims, err)
	}
	if _, err := v.Verify(httptest.NewRequest("GET", "/cable?token=bad", nil)); err != Malformed {
		t.Errorf("got %v", err)
	}
}

// FuzzVerifier checks that only tokens signed with the secret are valid, and that errors quote
// nothing.
func FuzzVerifier(f *testing.F) {
	v := verifier(f, Options{Secret: secret, ExpiryOptional: true})
	f.Add(sign(f, "HS256", []byte(secret), devise(nil)))
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, text string) {
		claims, err := v.check(text)
		if err == nil {
			parts := strings.Split(text, ".")
			signature, _ := base64.RawURLEncoding.DecodeString(parts[2])
			want, _ := jwt.SigningMethodHS256.Sign(parts[0]+"."+parts[1], []byte(secret))
			if !bytes.Equal(signature, want) || claims == nil {
				t.Errorf("accepted %q", text)
			}
			return
		}
		if rejection := Rejection(""); !errors.As(err, &rejection) {
			t.Errorf("%v is not a Rejection", err)
		}
	})
}
