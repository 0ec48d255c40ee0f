package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/catenary-cable/catenary/protocol"
	"github.com/gorilla/websocket"
)

// target is the server, and the handshake and identifier of its clients.
type target struct {
	url        *url.URL
	header     http.Header // {i} is replaced by the client's number
	identifier string      // likewise, and {stream} by the stream's name
	timeout    time.Duration
	dialer     websocket.Dialer
}

func newTarget(o Options) (*target, error) {
	u, err := parseURL(o.URL)
	if err != nil {
		return nil, err
	}
	header := http.Header{}
	for _, line := range o.Header {
		name, value, found := strings.Cut(line, ":")
		if !found {
			return nil, errors.New("--header is not of the form 'Name: value'")
		}
		header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	if o.Cookie != "" {
		header.Add("Cookie", o.Cookie)
	}
	header.Set("Origin", o.Origin)
	if o.Origin == "" {
		header.Set("Origin", strings.Replace(u.Scheme, "ws", "http", 1)+"://"+u.Host)
	}
	return &target{url: u, header: header, identifier: o.Identifier, timeout: o.Timeout, dialer: websocket.Dialer{
		HandshakeTimeout: o.Timeout,
		Subprotocols:     []string{protocol.V1JSON, protocol.Unsupported}, // as browsers offer
		ReadBufferSize:   1024,
		WriteBufferSize:  1024,
		WriteBufferPool:  &sync.Pool{},
	}}, nil
}

// parseURL does not repeat the URL in its errors: it may contain a token.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return nil, errors.New("the address is not a URL such as ws://localhost:3000/cable")
	}
	switch u.Scheme {
	case "ws", "wss":
	case "http", "https":
		u.Scheme = strings.Replace(u.Scheme, "http", "ws", 1)
	default:
		return nil, fmt.Errorf("the address begins with %s:, want ws:, wss:, http: or https:", u.Scheme)
	}
	if u.Path == "" {
		u.Path = "/cable"
	}
	return u, nil
}

// open connects the client with this number and subscribes it to a stream.
func (t *target) open(ctx context.Context, number int, stream string) (*client, error) {
	address := strings.ReplaceAll(t.url.String(), "{i}", strconv.Itoa(number))
	socket, response, err := t.dialer.DialContext(ctx, address, t.headerOf(number))
	switch {
	case response != nil && err != nil:
		return nil, rejection(response)
	case err != nil:
		return nil, fmt.Errorf("connecting: %w", err)
	}
	c := &client{number: number, socket: socket, timeout: t.timeout,
		identifier: strings.NewReplacer("{stream}", stream, "{i}", strconv.Itoa(number)).Replace(t.identifier)}
	stop := context.AfterFunc(ctx, c.close)
	defer stop()
	if err := c.subscribe(); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func rejection(response *http.Response) error {
	if response.StatusCode >= 500 {
		return fmt.Errorf("the server answered the handshake with %s: is the app up?", response.Status)
	}
	return fmt.Errorf("the server answered the handshake with %s: is the path right, and --origin allowed?",
		response.Status)
}

func (t *target) headerOf(number int) http.Header {
	header := make(http.Header, len(t.header))
	for name, values := range t.header {
		for _, value := range values {
			header.Add(name, strings.ReplaceAll(value, "{i}", strconv.Itoa(number)))
		}
	}
	return header
}
