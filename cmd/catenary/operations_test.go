package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestOperations_OnLoopbackRejectOtherHostNames(t *testing.T) {
	ok := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {})
	for host, want := range map[string]int{
		"127.0.0.1:9394": 200, "localhost:9394": 200, "[::1]:9394": 200, "10.1.2.3": 200, "": 200,
		"rebound.example:9394": 403, "rebound.example": 403, "localhost.rebound.example:9394": 403,
	} {
		request := httptest.NewRequest("GET", "/metrics", nil)
		request.Host = host
		answer := httptest.NewRecorder()
		rejectRebinding(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, ok).ServeHTTP(answer, request)
		if answer.Code != want {
			t.Errorf("Host %q is answered %d, want %d", host, answer.Code, want)
		}
	}
	request := httptest.NewRequest("GET", "http://node-a.internal:9394/metrics", nil)
	answer := httptest.NewRecorder()
	rejectRebinding(&net.TCPAddr{IP: net.IPv4zero}, ok).ServeHTTP(answer, request)
	if answer.Code != 200 {
		t.Errorf("on all addresses, a name is answered %d", answer.Code)
	}
}
