package rpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync/atomic"
	"time"
)

// poster carries calls by POST, several of those that wait in one request.
type poster struct {
	client *Client
	http   *http.Client
	took   average // by a call, lately

	// guarded by the client's mu
	concurrency int
	inFlight    int // requests
	turn        int
	paused      bool // Rails cannot be reached
}

const (
	mostTogether = 8

	// quickCalls may share a request as long as all of them together take no
	// longer than this.
	quickCalls = 20 * time.Millisecond

	postRetry = 200 * time.Millisecond

	// idleWait is shorter than Puma's own time-out of 20 s (persistent_timeout), so
	// that no call is written into a closing connection.
	idleWait = 15 * time.Second
)

func newPoster(c *Client) *poster {
	concurrency := max(c.options.Concurrency, 1)
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{KeepAlive: -1, Timeout: dialWait}).DialContext(ctx, c.target.network, c.target.address)
		},
		TLSHandshakeTimeout: dialWait, DisableCompression: true,
		MaxIdleConnsPerHost: max(concurrency, 64), IdleConnTimeout: idleWait, TLSClientConfig: c.target.tls.Clone(),
	}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &poster{client: c, http: &http.Client{Transport: transport, CheckRedirect: stay}, concurrency: concurrency}
}

func (p *poster) close() { p.http.CloseIdleConnections() }

// pump sends what waits, as far as it may. The client's mu is held.
func (p *poster) pump() {
	for !p.paused && p.inFlight < p.concurrency {
		batch := p.next()
		if len(batch) == 0 {
			return
		}
		p.inFlight++
		go p.carry(batch)
	}
}

// next takes the calls that travel together. The client's mu is held.
func (p *poster) next() (batch []*Pending) {
	most := mostTogether
	if took := time.Duration(p.took.Load()); took > 0 {
		most = min(max(int(quickCalls/took), 1), mostTogether)
	}
	waits := &p.client.waits
	for len(batch) < most {
		p.turn++
		order := []*line{&waits.here, &waits.leaving, &waits.coming}
		switch {
		case p.turn%openTurn == 0:
			order = []*line{&waits.coming, &waits.here, &waits.leaving}
		case p.turn%endTurn == 0:
			order = []*line{&waits.leaving, &waits.here, &waits.coming}
		}
		call := takeFirst(order...)
		if call == nil {
			break
		}
		p.client.waiting--
		if call.sent.IsZero() {
			call.sent = time.Now()
		}
		batch = append(batch, call)
	}
	return batch
}

// carry makes one request, and ends its calls or has them wait again.
func (p *poster) carry(batch []*Pending) {
	var calls []Call
	var sent []*Pending
	for _, one := range batch {
		one.full = one.full || one.call.Fill != nil && one.call.Version == ""
		if err := one.fill(nil); err != nil {
			p.end(one, nil, err)
			continue
		}
		calls, sent = append(calls, one.call), append(sent, one)
	}
	var r *reply
	var err error
	began := time.Now()
	if len(calls) > 0 {
		if r, err = p.post(calls, p.client.options.Timeout); err == nil {
			p.took.add(time.Since(began) / time.Duration(len(calls)))
		}
	}
	c := p.client
	c.mu.Lock()
	p.inFlight--
	again := sent[:0:0]
	for i, one := range sent {
		unsent := errors.Is(err, ErrNotSent) || one.call.Do == Close && errors.As(err, new(*StatusError))
		unknown := err == nil && r.results[i].Need != "" && !one.full && one.call.Fill != nil
		if (unsent || unknown) && !c.stopped {
			if unknown {
				c.observe(one, &r.results[i], nil, time.Now())
				one.full = true
			}
			again = append(again, one)
			c.waiting++
			c.waits.of(one.call.Do).append(one)
		}
	}
	if err != nil && len(again) > 0 {
		c.trouble = err
		p.pause()
	} else if err == nil {
		c.trouble = nil
	}
	c.spread()
	c.mu.Unlock()
	for i, one := range sent {
		switch {
		case slices.Contains(again, one):
		case err != nil:
			p.end(one, nil, err)
		case r.results[i].Need != "":
			p.end(one, nil, fmt.Errorf("Rails asks for %q after a full call", r.results[i].Need))
		default:
			r.results[i].Kept = true // there is no way to hand over anything later
			p.end(one, &r.results[i], nil)
		}
	}
}

func (p *poster) end(one *Pending, result *Result, err error) {
	p.client.observe(one, result, err, time.Now())
	one.finish(Answer{Result: result, Err: err})
}

// pause waits a moment before the next request: Rails cannot be reached. The
// client's mu is held.
func (p *poster) pause() {
	if p.paused {
		return
	}
	p.paused = true
	time.AfterFunc(postRetry, func() {
		p.client.mu.Lock()
		defer p.client.mu.Unlock()
		p.paused = false
		p.client.spread()
	})
}

// post makes one signed request.
func (p *poster) post(calls []Call, within time.Duration) (*reply, error) {
	return attempt(p.client.signers, func(s *signer) (*reply, error) { return p.postWith(s, calls, within) })
}

func (p *poster) postWith(signer *signer, calls []Call, within time.Duration) (*reply, error) {
	c := p.client
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	var wrote atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { wrote.Store(true) }})
	body := appendRequest(nil, c.options.Node, calls)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.target.url(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("asking Rails: %w: %w", err, ErrNotSent)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "catenary")
	signer.sign(request.Header, "v1", time.Now(), body)
	response, err := p.http.Do(request)
	switch {
	case err != nil && !wrote.Load():
		return nil, fmt.Errorf("connecting to Rails: %w: %w", err, ErrNotSent)
	case errors.Is(err, context.DeadlineExceeded):
		return nil, timeoutError(within)
	case err != nil:
		return nil, fmt.Errorf("asking Rails: %w", err)
	}
	defer response.Body.Close()
	limit := c.options.ReplyBytes
	text, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, timeoutError(within)
	case err != nil:
		return nil, fmt.Errorf("reading Rails' answer: %w", err)
	case int64(len(text)) > limit:
		return nil, fmt.Errorf("reading Rails' answer: it is longer than %d bytes", limit)
	case response.StatusCode != http.StatusOK:
		return nil, newStatusError(response.StatusCode, text)
	}
	r, err := parseReply(text)
	if err == nil && len(r.results) != len(calls) {
		err = fmt.Errorf("Rails answered %d results to %d calls", len(r.results), len(calls))
	}
	return r, err
}

// settings asks by POST what Rails is.
func (p *poster) settings(within time.Duration) (*Settings, error) {
	asked := &Pending{client: p.client, call: Call{Do: SettingsOnly}, asked: time.Now(), sent: time.Now()}
	r, err := p.post(nil, within)
	if err == nil && r.settings == nil {
		err = errors.New("Rails answered without its settings: use the same version of the gem and of catenary")
	}
	p.client.observe(asked, &Result{}, err, time.Now())
	if err != nil {
		return nil, err
	}
	return r.settings, nil
}

// answers reports whether the backend answers a POST.
func (p *poster) answers() bool {
	_, err := p.settings(upgradeWait)
	return err == nil
}
