package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"
)

// standstill is how long a request's body, or the answer to it, may make no
// progress: nobody holds a goroutine, and a thread of Rails', with half of either.
const standstill = time.Minute

// steadily ends a connection on which a request's body or its answer stands
// still for too long. A handler may take as long as it likes.
func steadily(handler http.Handler, standstill time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := &steady{w, http.NewResponseController(w), standstill, false}
		s.controller.SetWriteDeadline(time.Time{}) // of the answer before this one
		if r.Body != nil && r.Body != http.NoBody {
			s.controller.SetReadDeadline(time.Now().Add(standstill)) // a body that nobody reads is read by net/http
			r.Body = &steadyBody{r.Body, s}
		}
		handler.ServeHTTP(s, r)
		if !s.hijacked {
			s.writes() // net/http, the end of it
		}
	})
}

// steady is the answer.
type steady struct {
	http.ResponseWriter
	controller *http.ResponseController
	standstill time.Duration
	hijacked   bool
}

func (s *steady) writes() { s.controller.SetWriteDeadline(time.Now().Add(s.standstill)) }

func (s *steady) WriteHeader(status int) {
	s.writes()
	s.ResponseWriter.WriteHeader(status)
}

func (s *steady) Write(p []byte) (int, error) {
	s.writes()
	return s.ResponseWriter.Write(p)
}

// Hijack is for the cable and the proxy, which take connections over.
func (s *steady) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	s.hijacked = true
	return s.controller.Hijack()
}

// Unwrap is for http.ResponseController.
func (s *steady) Unwrap() http.ResponseWriter { return s.ResponseWriter }

type steadyBody struct {
	io.ReadCloser
	*steady
}

func (b *steadyBody) Read(p []byte) (int, error) {
	b.controller.SetReadDeadline(time.Now().Add(b.standstill))
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.controller.SetReadDeadline(time.Time{})
	}
	return n, err
}
