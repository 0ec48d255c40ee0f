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

	"github.com/catenary-cable/catenary/cmd/catenary/broadcasts"
	"github.com/catenary-cable/catenary/cmd/catenary/doctor"
	"github.com/catenary-cable/catenary/cmd/catenary/rails"
	"github.com/catenary-cable/catenary/cmd/catenary/status"
)

// readiness knows whether a load balancer should send browsers here.
type readiness struct {
	rails    *rails.State
	unread   error                             // why only Rails knows where broadcasts are published; may be nil
	source   atomic.Pointer[broadcasts.Source] // nil until that is known
	draining atomic.Bool
}

func (r *readiness) open(s broadcasts.Source) { r.source.Store(&s) }

func (r *readiness) drain() { r.draining.Store(true) }

// Check returns nil if catenary is ready, else what is missing and what to do.
func (r *readiness) Check() error {
	if r.draining.Load() {
		return errors.New("catenary is stopping")
	}
	return errors.Join(r.rails.Ready(), r.missingBroadcasts())
}

// missingBroadcasts is the error of broadcasts, in terms of the browsers that are connected.
func (r *readiness) missingBroadcasts() error {
	err := r.broadcasts()
	if err == nil || r.source.Load() == nil || strings.HasPrefix(err.Error(), broadcasts.ReceiveNothing) {
		return err
	}
	return fmt.Errorf("%s%w", broadcasts.ReceiveNothing, err)
}

// Parts returns for each part why it is not ready, nil if it is.
func (r *readiness) Parts() map[string]error {
	return map[string]error{"rails": r.rails.Ready(), "broadcasts": r.broadcasts()}
}

// broadcasts returns nil if they arrive.
func (r *readiness) broadcasts() error {
	source := r.source.Load()
	switch {
	case source != nil:
		return (*source).Ready()
	case r.unread != nil:
		return fmt.Errorf("waiting for Rails to report where broadcasts are published: %w", r.unread)
	}
	return errors.New("waiting for Rails to report where broadcasts are published")
}

// serveOperations serves probes, metrics and the status page on a listener of its own, which
// browsers need not reach. Without a recorder there is no status page, without a listener nothing.
func serveOperations(ctx context.Context, listener net.Listener, profiles bool, ready *readiness, metrics http.Handler,
	recorder *status.Recorder, about, disconnect http.HandlerFunc) error {
	if listener == nil {
		return nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /live", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "live") })
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, r *http.Request) {
		if err := ready.Check(); err != nil {
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
	server := &http.Server{
		Handler: rejectRebinding(listener.Addr(), mux), ReadTimeout: 5 * time.Second, WriteTimeout: 2 * time.Minute,
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving operations on %s: %w", listener.Addr(), err)
	}
	return nil
}

// rejectRebinding protects a listener on loopback against DNS rebinding: a page in a browser on
// this machine could reach it through a domain name that resolves to 127.0.0.1.
func rejectRebinding(listening net.Addr, handler http.Handler) http.Handler {
	if address, ok := listening.(*net.TCPAddr); !ok || !address.IP.IsLoopback() {
		return handler
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := (&url.URL{Host: r.Host}).Hostname()
		if host != "" && host != "localhost" && net.ParseIP(host) == nil { // a browser always names one
			http.Error(w, "use the IP address of the operations listener, or localhost", http.StatusForbidden)
			return
		}
		handler.ServeHTTP(w, r)
	})
}
