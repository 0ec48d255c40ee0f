package rpc_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/catenary-cable/catenary/rpc/rpctest"
)

// balance returns the URL of a load balancer that gives connections to the processes in turn.
func balance(t *testing.T, processes []*rpctest.Rails) (url string) {
	return balanceOf(t, func() []*rpctest.Rails { return processes })
}

// balanceOf is balance for the processes that the function returns at the time.
func balanceOf(t *testing.T, processes func() []*rpctest.Rails) (url string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for turn := 0; ; turn++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			now := processes()
			to, err := net.Dial("tcp", strings.TrimPrefix(now[turn%len(now)].URL, "http://"))
			if err != nil {
				conn.Close()
				continue
			}
			go func() { io.Copy(to, conn); to.Close() }()
			go func() { io.Copy(conn, to); conn.Close() }()
		}
	}()
	return "http://" + listener.Addr().String()
}

// postOnly returns the URL of a backend that answers upgrades with status, and POSTs with success.
func postOnly(t *testing.T, status int) (url string) {
	var served atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.Method != http.MethodPost:
			http.Error(w, "", status)
		case strings.Contains(string(body), `"do"`):
			io.WriteString(w, `{"v":1,"process":"b","results":[{"status":200}]}`)
		default:
			io.WriteString(w, `{"v":1,"process":"b","results":[],"settings":{"rails":"0"}}`)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}
