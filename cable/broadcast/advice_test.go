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

// logged is what a source has logged so far.
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

// TestRedis_SaysWhatToDo runs real servers that are set up otherwise than the source.
func TestRedis_SaysWhatToDo(t *testing.T) {
	open := startRedis(t)
	guarded := startRedis(t, "--requirepass", "seCret")
	cert, key := certificate(t)
	port := freePort(t)
	startRedis(t, "--tls-port", strconv.Itoa(port), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert, "--tls-auth-clients", "no")
	overTLS := "127.0.0.1:" + strconv.Itoa(port)
	for name, c := range map[string]struct {
		options RedisOptions
		says    string
	}{
		"no password":                         {RedisOptions{URL: guarded.url()}, "asks for a password: redis://:password@…"},
		"another password":                    {RedisOptions{URL: guarded.url(), Password: "seCretly"}, "the password, or the user, is another"},
		"a user that is not there":            {RedisOptions{URL: guarded.url(), Username: "nobody", Password: "seCret"}, "the password, or the user, is another"},
		"TLS to a plain port":                 {RedisOptions{URL: "rediss://" + open.address()}, "write redis:// if it does not speak TLS"},
		"TLS to a plain port, with a setting": {RedisOptions{URL: open.url(), TLS: RedisTLS{Enabled: true}}, "write redis:// if it does not speak TLS"},
		"plain to a TLS port":                 {RedisOptions{URL: "redis://" + overTLS}, "write rediss:// if it speaks TLS"},
		"a certificate that nobody knows":     {RedisOptions{URL: "rediss://" + overTLS}, "ssl_params"},
		"nobody":                              {RedisOptions{URL: "redis://127.0.0.1:" + strconv.Itoa(freePort(t))}, "see that it runs"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.options.Timeout = 2 * time.Second
			var log logged
			r, err := NewRedis(c.options, slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			hear(t, r)
			eventually(t, "it says what to do", func() bool { return strings.Contains(fmt.Sprint(r.Ready()), c.says) })
			eventually(t, "the log says it too", func() bool { return strings.Contains(log.String(), c.says) })
			if all := fmt.Sprint(r.Ready()) + log.String(); strings.Contains(all, "seCret") {
				t.Errorf("the password is shown: %s", all)
			}
		})
	}
}

// A server behind a balancer may answer a handshake of TLS with nothing at all.
func TestRedis_GuessesAtTLSWhereNobodyAnswers(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	r := newRedis(t, RedisOptions{URL: "rediss://" + listener.Addr().String(), Timeout: 200 * time.Millisecond})
	hear(t, r)
	eventually(t, "it says what to do", func() bool { return strings.Contains(fmt.Sprint(r.Ready()), "write redis:// if it does not speak TLS") })
}
