package stage

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TokenSecret is the secret that signs the browsers' tokens.
const TokenSecret = "the secret of devise-jwt, long enough"

// DeviseToken returns a token as devise-jwt makes it, with ruby-jwt. changes are pairs of a Ruby
// hash.
func DeviseToken(t *testing.T, changes string) string {
	t.Helper()
	script := `require "jwt"; now = Time.now.to_i
		claims = { "jti" => "j-1", "sub" => "7", "scp" => "user", "aud" => nil, "iat" => now, "exp" => now + 3600 }.merge(eval(ARGV[1]))
		print JWT.encode(claims, ARGV[0], "HS256")`
	out, err := exec.Command("ruby", "-e", script, TokenSecret, "now = Time.now.to_i; {"+changes+"}").Output()
	if err != nil {
		t.Fatalf("ruby-jwt is needed, run script/install rails: %v", err)
	}
	return string(out)
}

// SignToken returns a token that expires in an hour unless the claims have an exp.
func SignToken(claims jwt.MapClaims) string {
	if claims["exp"] == nil {
		claims["exp"] = time.Now().Unix() + 3600
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(TokenSecret))
	if err != nil {
		panic(err)
	}
	return token
}

// JWTSettings returns the settings for checking tokens. more are further settings below jwt.
func JWTSettings(more string) string {
	return "  jwt:\n    secret: \"" + TokenSecret + "\"\n" + more
}

// IdentifySettings are settings with which tokens replace connect.
const IdentifySettings = "    identify:\n      user: gid://app/User/{sub}\n      tenant: \"{tenant_id}\"\n"

// WriteCertificate writes a certificate with this serial number for 127.0.0.1.
func WriteCertificate(t *testing.T, folder string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"key.pem": {Type: "PRIVATE KEY", Bytes: private}, "certificate.pem": {Type: "CERTIFICATE", Bytes: certificate}} {
		if err := os.WriteFile(filepath.Join(folder, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
