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

// silenceTimeout is how long to wait for the next event; catenary sends one each second.
const silenceTimeout = 10 * time.Second

// feed reads the events of one catenary.
type feed struct {
	url    string // of its operations listener
	client *http.Client
}

func newFeed(url string) *feed {
	return &feed{strings.TrimRight(url, "/"), &http.Client{Transport: &http.Transport{
		DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext, ResponseHeaderTimeout: silenceTimeout,
	}}}
}

var errSilent = fmt.Errorf("no events for %v", silenceTimeout)

// follow calls history once, and then now with each status, until ctx is done or the connection is
// lost.
func (f *feed) follow(ctx context.Context, history func([]status.Point), now func(status.Status)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(silenceTimeout, func() { cancel(errSilent) })
	defer silence.Stop()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url+"/status/events", nil)
	if err != nil {
		return fmt.Errorf("%s is not the address of an operations listener: write for example http://127.0.0.1:9394",
			f.url)
	}
	response, err := f.client.Do(request)
	if err != nil {
		return f.unreachable(ctx, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return f.rejected(response)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 4<<20)
	event := ""
	for lines.Scan() {
		silence.Reset(silenceTimeout)
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
			return fmt.Errorf("%s sent an event that this version does not understand, use the same version of catenary: %w",
				f.url, err)
		}
	}
	return f.unreachable(ctx, errors.Join(lines.Err(), io.ErrUnexpectedEOF))
}

func (f *feed) unreachable(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return fmt.Errorf("the operations listener at %s does not answer: %w: is catenary running? "+
		"It logs the address when it starts (operations=); if that is another: catenary top URL", f.url, err)
}

func (f *feed) rejected(response *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(response.Body, 200))
	switch response.StatusCode {
	case http.StatusNotFound:
		return fmt.Errorf("%s serves no status: operations.status is false, catenary is older, "+
			"or this is not its operations listener", f.url)
	case http.StatusServiceUnavailable:
		return fmt.Errorf("%s: %s", f.url, strings.TrimSpace(string(text)))
	}
	return fmt.Errorf("%s answers with status %d: is this catenary's operations listener?",
		f.url, response.StatusCode)
}
