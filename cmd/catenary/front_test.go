package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/catenary-cable/catenary/config"
)

// systemd may lend a Unix socket, for nginx on the same machine. Then the browser's address is what nginx says.
func TestFront_TakesWhoComesThroughAUnixSocketForALocalProxy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catenary.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	f := newFront(listener, true, config.Limits{HeaderBytes: 1 << 16}, slog.New(slog.DiscardHandler))
	go f.serve(t.Context())
	defer f.close()
	f.open(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.RemoteAddr) }), func() {}, func() {})

	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
	response, err := client.Get("http://catenary/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "127.0.0.1:0" {
		t.Errorf("the browser's address is %s, %v", body, err)
	}
}
