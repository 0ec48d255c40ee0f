package status

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"time"
)

//go:embed page
var files embed.FS

// policy lets the page load only what this listener serves.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Register serves the page at /, and its files and events under /status/.
func (r *Recorder) Register(mux *http.ServeMux) {
	page, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // impossible: page is embedded
	}
	static := http.FileServerFS(page)
	mux.Handle("GET /{$}", guarded(static.ServeHTTP))
	for _, file := range []string{"page.js", "chart.js", "page.css", "icon.svg"} {
		mux.Handle("GET /status/"+file, guarded(http.StripPrefix("/status", static).ServeHTTP))
	}
	mux.Handle("GET /status/events", guarded(r.events))
	mux.Handle("GET /status/now", guarded(r.now))
}

func guarded(handle http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-cache")
		handle(w, request)
	})
}

func (r *Recorder) now(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(r.Status())
}

// events sends the history first, an array of Points, and then a Status each second.
func (r *Recorder) events(w http.ResponseWriter, request *http.Request) {
	statuses := make(chan []byte, 1)
	history, err := r.watch(statuses)
	if err != nil {
		w.Header().Set("Retry-After", "10")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer r.unwatch(statuses)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // keeps nginx from buffering events
	stream := http.NewResponseController(w)
	send := func(event string, data []byte) error {
		// The server's own deadline is meant for short responses.
		stream.SetWriteDeadline(time.Now().Add(10 * time.Second))
		if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event, data); err != nil {
			return err
		}
		return stream.Flush()
	}
	err = send("history", history)
	for err == nil {
		select {
		case <-request.Context().Done():
			return
		case status := <-statuses:
			err = send("status", status)
		}
	}
}
