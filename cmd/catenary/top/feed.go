package top

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/status"
)

// patience is how long catenary may be silent: it speaks once a second.
const patience = 10 * time.Second

// feed are the events of one catenary.
type feed struct {
	url    string // of its operations listener
	client *http.Client
}

func newFeed(url string) *feed {
	return &feed{strings.TrimRight(url, "/"), &http.Client{Transport: &http.Transport{
		DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext, ResponseHeaderTimeout: patience,
	}}}
}

var errSilent = errors.New("it has said nothing for a while")

// follow calls history once, and then now with each status, until ctx or the
// connection ends.
func (f *feed) follow(ctx context.Context, history func([]status.Point), now func(status.Status)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(patience, func() { cancel(errSilent) })
	defer silent.Stop()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url+"/status/events", nil)
	if err != nil {
		return fmt.Errorf("%s is no address of a catenary: write for example http://127.0.0.1:9394", f.url)
	}
	response, err := f.client.Do(request)
	if err != nil {
		return f.unreachable(ctx, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return f.refused(response)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 4<<20)
	event := ""
	for lines.Scan() {
		silent.Reset(patience)
		name, text, _ := strings.Cut(lines.Text(), ": ")
		if name == "event" {
			event = text
			continue
		}
		if name != "data" {
			continue
		}
		var points []status.Point
		var s status.Status
		switch event {
		case "history":
			if err = json.Unmarshal([]byte(text), &points); err == nil {
				history(points)
			}
		case "status":
			if err = json.Unmarshal([]byte(text), &s); err == nil {
				now(s)
			}
		}
		if err != nil {
			return fmt.Errorf("%s does not speak as this catenary does, use the same version: %w", f.url, err)
		}
	}
	return f.unreachable(ctx, errors.Join(lines.Err(), io.ErrUnexpectedEOF))
}

func (f *feed) unreachable(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return fmt.Errorf("the operations listener at %s does not answer: %w: is catenary running? It says at its start where it listens (operations.listen); if that is elsewhere: catenary top URL", f.url, err)
}

func (f *feed) refused(response *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(response.Body, 200))
	switch response.StatusCode {
	case http.StatusNotFound:
		return fmt.Errorf("%s serves no status: it runs with operations.status: false, is older, or is no catenary's operations listener", f.url)
	case http.StatusServiceUnavailable:
		return fmt.Errorf("%s: %s", f.url, strings.TrimSpace(string(text)))
	}
	return fmt.Errorf("%s answers with status %d: is it catenary's operations listener?", f.url, response.StatusCode)
}
