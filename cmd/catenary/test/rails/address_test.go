package rails

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// One Puma listens on both addresses. It is restarted in the middle of the test.
func TestAddress_LinksReachPumaOverAUnixSocketAndOverTLS(t *testing.T) {
	t.Parallel()
	redis, err := stage.StartRedis()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Close)
	folder, err := os.MkdirTemp("", "puma") // the path of t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	certificate, key := writeCACertificate(t, folder)
	secure := stage.FreeAddress()
	app := stage.NewApp("lab", true, "REDIS_URL="+redis.URL())
	app.Binds = []string{"unix://" + folder + "/puma.sock", "ssl://" + secure + "?key=" + key + "&cert=" + certificate + "&verify_mode=none"}
	if err := app.Boot(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Close)

	var all []*subscriber
	for _, url := range []string{"unix:" + folder + "/puma.sock", "https://" + secure} {
		c := stage.Launch(t, append([]string{"SSL_CERT_FILE=" + certificate}, stage.WithSecret...), "--backend-url", url, "--backend-transport", "link")
		if err := c.Process.WaitFor(c.Ready); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			b, err := stage.Dial(c.Address, stage.Handshake("GET", "/cable", c.Address, nil))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(b.Close)
			o := &subscriber{b, t, echo}
			o.subscribe()
			all = append(all, o)
		}
	}
	act := func(times int) {
		t.Helper()
		for n := range times {
			for _, o := range all {
				o.perform(fmt.Sprintf(`{"action":"echo","n":%d}`, n))
			}
		}
		for _, o := range all {
			for n := range times {
				o.expectMessages(fmt.Sprintf(`{"action":"echo","n":%d}`, n))
			}
		}
	}
	act(100)
	app.Restart(t)
	act(1)
}

// writeCACertificate writes a CA certificate for 127.0.0.1 and its key.
func writeCACertificate(t *testing.T, folder string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Puma"}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	for path, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: signed}, key: {Type: "EC PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}
