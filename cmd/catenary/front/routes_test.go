package front

import (
	"bufio"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/config"
)

// Paths match as in Rails' router.
func TestRoutes_MatchPathsAsRailsDoes(t *testing.T) {
	served := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "cable") })
	handler, err := Routes(&config.Config{Paths: []string{"/cable", "deep/käble/", "/*/cable"}}, served, nil, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		"/cable": true, "//cable": true, "/cable/": true, "//cable//?x=//": true, "/deep//k%C3%A4ble": true, "/7/cable": true, "//7//cable/": true, "http://a.example/cable": true,
		"/%63able": false, "/Cable": false, "/cable%2F": false, "/cable/.": false, "/x/../cable": false, "/x/y/cable": false, "/7/": false, "/cable/foo": false, "/": false, "//": false,
	} {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest("GET", path, nil))
		if got := answer.Body.String() == "cable"; got != want {
			t.Errorf("%s: served by the cable: %t", path, got)
		}
	}
}

// Whatever Host a request has, and whatever HTTP_PROXY says, it goes to Rails or nowhere.
func TestProxy_PassesRequestsToRailsOnly(t *testing.T) {
	elsewhere := make(chan string, 10)
	outward := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		elsewhere <- r.Method + " " + r.RequestURI
	}))
	defer outward.Close()
	t.Setenv("HTTP_PROXY", outward.URL)
	t.Setenv("http_proxy", outward.URL)
	rails := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "Rails: "+r.Host+r.RequestURI)
	}))
	defer rails.Close()
	address := outward.Listener.Addr().String()
	for name, c := range map[string]struct{ backend, request, status, body string }{
		"Host":              {rails.URL, "GET /a HTTP/1.1\r\nHost: " + address + "\r\n\r\n", "200 OK", "Rails: " + address + "/a"},
		"absolute":          {rails.URL, "GET http://" + address + "/a HTTP/1.1\r\nHost: a\r\n\r\n", "200 OK", "Rails: " + address + "/a"},
		"CONNECT":           {rails.URL, "CONNECT " + address + " HTTP/1.1\r\nHost: a\r\n\r\n", "405 Method Not Allowed", "Method Not Allowed\n"},
		"a backend by name": {"http://rails.invalid", "GET /a HTTP/1.1\r\nHost: intranet.corp\r\n\r\n", "502 Bad Gateway", ""},
		"calls":             {rails.URL, "GET //_catenary/ HTTP/1.1\r\nHost: a\r\n\r\n", "404 Not Found", ""},
	} {
		proxy, err := proxyTo(c.backend, nil, log.New(io.Discard, "", 0))
		if err != nil {
			t.Fatal(err)
		}
		front := httptest.NewServer(proxy)
		conn, err := net.Dial("tcp", front.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, c.request)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		if response.Status != c.status || c.body != "" && string(body) != c.body || strings.Contains(string(body), "//_catenary") {
			t.Errorf("%s: got %s %q", name, response.Status, body)
		}
		conn.Close()
		front.Close()
	}
	select {
	case request := <-elsewhere:
		t.Errorf("a request went elsewhere: %s", request)
	default:
	}
}
