package broadcast

import (
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// logged collects the log of a source.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestRedis_AdvisesOnAFailedConnection runs real servers whose setup differs from the source's.
func TestRedis_AdvisesOnAFailedConnection(t *testing.T) {
	open := startRedis(t)
	guarded := startRedis(t, "--requirepass", "seCret")
	cert, key := certificate(t)
	port := freePort(t)
	startRedis(t, "--tls-port", strconv.Itoa(port), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert, "--tls-auth-clients", "no")
	overTLS := "127.0.0.1:" + strconv.Itoa(port)
	for name, c := range map[string]struct {
		options RedisOptions
		advice  string
	}{
		"no password":                         {RedisOptions{URL: guarded.url()}, "requires a password: set redis://:password@…"},
		"another password":                    {RedisOptions{URL: guarded.url(), Password: "seCretly"}, "the user or the password is wrong"},
		"an unknown user":                     {RedisOptions{URL: guarded.url(), Username: "nobody", Password: "seCret"}, "the user or the password is wrong"},
		"TLS to a plain port":                 {RedisOptions{URL: "rediss://" + open.address()}, "use redis:// if this port does not speak TLS"},
		"TLS to a plain port, with a setting": {RedisOptions{URL: open.url(), TLS: RedisTLS{Enabled: true}}, "use redis:// if this port does not speak TLS"},
		"plain to a TLS port":                 {RedisOptions{URL: "redis://" + overTLS}, "use rediss:// if this port speaks TLS"},
		"an untrusted certificate":            {RedisOptions{URL: "rediss://" + overTLS}, "ssl_params"},
		"no server":                           {RedisOptions{URL: "redis://127.0.0.1:" + strconv.Itoa(freePort(t))}, "check that it is running"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.options.Timeout = 2 * time.Second
			var log logged
			r, err := NewRedis(c.options, slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			receive(t, r)
			eventually(t, "Ready advises", func() bool { return strings.Contains(fmt.Sprint(r.Ready()), c.advice) })
			eventually(t, "the log advises", func() bool { return strings.Contains(log.String(), c.advice) })
			if all := fmt.Sprint(r.Ready()) + log.String(); strings.Contains(all, "seCret") {
				t.Errorf("the password is shown: %s", all)
			}
		})
	}
}

// TestRedis_SuspectsTLSIfNobodyAnswers: a server behind a balancer may not answer a TLS handshake
// at all.
func TestRedis_SuspectsTLSIfNobodyAnswers(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	r := newRedis(t, RedisOptions{URL: "rediss://" + listener.Addr().String(), Timeout: 200 * time.Millisecond})
	receive(t, r)
	eventually(t, "Ready advises", func() bool {
		return strings.Contains(fmt.Sprint(r.Ready()), "use redis:// if this port does not speak TLS")
	})
}
