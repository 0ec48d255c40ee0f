package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/doctor"
	"github.com/catenary-cable/catenary/cmd/catenary/status"
)

// readiness knows whether browsers should be sent here.
type readiness struct {
	rails    *railsState
	unread   error                  // why only Rails can say where; nil: it is asked all the same
	source   atomic.Pointer[source] // nil until it is known where broadcasts are published
	draining atomic.Bool
}

func (r *readiness) open(s source) { r.source.Store(&s) }

func (r *readiness) drain() { r.draining.Store(true) }

// check returns nil, or why not and what to do.
func (r *readiness) check() error {
	if r.draining.Load() {
		return errors.New("catenary is being stopped")
	}
	return errors.Join(r.rails.ready(), r.deaf())
}

// hearNothing is said of all that keeps broadcasts from browsers.
const hearNothing = "browsers hear nothing: "

// deaf is what browsers that are here miss.
func (r *readiness) deaf() error {
	err := r.broadcasts()
	if err == nil || r.source.Load() == nil || strings.HasPrefix(err.Error(), hearNothing) {
		return err
	}
	return fmt.Errorf("%s%w", hearNothing, err)
}

// broadcasts returns nil if they arrive.
func (r *readiness) broadcasts() error {
	source := r.source.Load()
	switch {
	case source != nil:
		return (*source).Ready()
	case r.unread != nil:
		return fmt.Errorf("catenary waits for Rails to tell where broadcasts are published: %w", r.unread)
	}
	return errors.New("catenary waits for Rails to tell where broadcasts are published")
}

// serveOperations answers probes on a listener of its own, away from browsers.
// Without a recorder there is no status page.
func serveOperations(ctx context.Context, listener net.Listener, profiles bool, ready *readiness, metrics http.Handler, recorder *status.Recorder, about, disconnect http.HandlerFunc) error {
	if listener == nil {
		return nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /live", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "live") })
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, r *http.Request) {
		if err := ready.check(); err != nil {
			http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET "+doctor.AboutPath, about)
	mux.HandleFunc("POST /disconnect", disconnect)
	if recorder != nil {
		recorder.Register(mux)
	}
	if profiles {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	server := &http.Server{Handler: fromHere(listener.Addr(), mux), ReadTimeout: 5 * time.Second, WriteTimeout: 2 * time.Minute}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving operations on %s: %w", listener.Addr(), err)
	}
	return nil
}

// fromHere keeps pages out, of which one in a browser on this machine can reach
// a listener on loopback by a name of its own that points there (DNS rebinding).
func fromHere(listening net.Addr, handler http.Handler) http.Handler {
	if address, ok := listening.(*net.TCPAddr); !ok || !address.IP.IsLoopback() {
		return handler
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := (&url.URL{Host: r.Host}).Hostname()
		if host != "" && host != "localhost" && net.ParseIP(host) == nil { // a browser always names one
			http.Error(w, "call catenary's operations listener by its address, or localhost", http.StatusForbidden)
			return
		}
		handler.ServeHTTP(w, r)
	})
}
