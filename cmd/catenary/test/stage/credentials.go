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

// TokenSecret signs the tokens that browsers bring.
const TokenSecret = "the secret of devise-jwt, long enough"

// DeviseToken makes a token as devise-jwt does, with ruby-jwt. changes is Ruby.
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

// SignToken makes a token that is good for an hour.
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

// JWTSettings are settings of catenary with which it checks tokens. more are others of the key jwt.
func JWTSettings(more string) string {
	return "  jwt:\n    secret: \"" + TokenSecret + "\"\n" + more
}

// IdentifySettings have tokens take the place of connect.
const IdentifySettings = "    identify:\n      user: gid://app/User/{sub}\n      tenant: \"{tenant_id}\"\n"

// WriteCertificate makes a certificate of this serial number for 127.0.0.1.
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
