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

// poster carries calls by POST (docs/rpc.md, "The POST"), several queued ones in one request.
type poster struct {
	client  *Client
	http    *http.Client
	latency average // of one call

	// guarded by the client's mu
	concurrency int
	inFlight    int // requests
	turn        int // see nextBatch
	paused      bool
}

const (
	maxBatch = 8 // calls in one request

	// batchTime is how long the calls of one request may take together, judging by latency.
	batchTime = 20 * time.Millisecond

	retryPause = 200 * time.Millisecond // after Rails could not be reached

	// idleWait is shorter than Puma's persistent_timeout of 20 s, so that no call is written into a
	// connection that Puma is closing.
	idleWait = 15 * time.Second
)

func newPoster(c *Client) *poster {
	concurrency := max(c.options.Concurrency, 1)
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			dialer := &net.Dialer{KeepAlive: -1, Timeout: dialWait}
			return dialer.DialContext(ctx, c.target.network, c.target.address)
		},
		TLSHandshakeTimeout: dialWait, DisableCompression: true, TLSClientConfig: c.target.tls.Clone(),
		MaxIdleConnsPerHost: max(concurrency, 64), IdleConnTimeout: idleWait,
	}
	noRedirect := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &poster{
		client: c, concurrency: concurrency,
		http: &http.Client{Transport: transport, CheckRedirect: noRedirect},
	}
}

// pump sends queued calls while requests are free. The client's mu is held.
func (p *poster) pump() {
	for !p.paused && p.inFlight < p.concurrency {
		batch := p.nextBatch()
		if len(batch) == 0 {
			return
		}
		p.inFlight++
		go p.carry(batch)
	}
}

// nextBatch takes the calls of the next request off their queues, in the order that queues
// describes. The client's mu is held.
func (p *poster) nextBatch() (batch []*Pending) {
	most := maxBatch
	if latency := time.Duration(p.latency.Load()); latency > 0 {
		most = min(max(int(batchTime/latency), 1), maxBatch)
	}
	q := &p.client.queues
	for len(batch) < most {
		p.turn++
		order := []*queue{&q.established, &q.closes, &q.opens}
		switch {
		case p.turn%openTurn == 0:
			order = []*queue{&q.opens, &q.established, &q.closes}
		case p.turn%closeTurn == 0:
			order = []*queue{&q.closes, &q.established, &q.opens}
		}
		pending := popFirst(order...)
		if pending == nil {
			break
		}
		p.client.queued--
		if pending.sentAt.IsZero() {
			pending.sentAt = time.Now()
		}
		batch = append(batch, pending)
	}
	return batch
}

// carry makes one request. It finishes each of its calls, or queues the call again: because Rails
// could not be reached, or needs a full call.
func (p *poster) carry(batch []*Pending) {
	var calls []Call
	var sent []*Pending
	for _, pending := range batch {
		pending.full = pending.full || pending.call.Fill != nil && pending.call.Version == ""
		err := pending.fill(nil)
		if err != nil {
			p.finish(pending, nil, err)
			continue
		}
		calls = append(calls, *pending.call)
		sent = append(sent, pending)
	}
	var r *reply
	var err error
	began := time.Now()
	if len(calls) > 0 {
		r, err = p.post(calls, p.client.options.Timeout)
		if err == nil {
			p.latency.add(time.Since(began) / time.Duration(len(calls)))
		}
	}
	c := p.client
	c.mu.Lock()
	p.inFlight--
	again := sent[:0:0]
	for i, pending := range sent {
		unsent := errors.Is(err, ErrNotSent) || pending.call.Do == Close && errors.As(err, new(*StatusError))
		needsState := err == nil && r.results[i].Need != "" && !pending.full && pending.call.Fill != nil
		if (unsent || needsState) && !c.stopped {
			if needsState {
				c.observe(pending, &r.results[i], nil, time.Now())
				pending.full = true
			}
			again = append(again, pending)
			c.queued++
			c.queues.of(pending.call.Do).push(pending)
		}
	}
	if err != nil && len(again) > 0 {
		c.unreachable = err
		p.pause()
	} else if err == nil {
		c.unreachable = nil
	}
	c.pumpAll()
	c.mu.Unlock()
	for i, pending := range sent {
		switch {
		case slices.Contains(again, pending):
		case err != nil:
			p.finish(pending, nil, err)
		case r.results[i].Need != "":
			p.finish(pending, nil, needError(r.results[i].Need))
		default:
			r.results[i].Latest = true // by POST, no Kept can follow
			p.finish(pending, &r.results[i], nil)
		}
	}
}

func (p *poster) finish(pending *Pending, result *Result, err error) {
	p.client.observe(pending, result, err, time.Now())
	pending.finish(Answer{Result: result, Err: err})
}

// pause delays the next request by retryPause. The client's mu is held.
func (p *poster) pause() {
	if p.paused {
		return
	}
	p.paused = true
	time.AfterFunc(retryPause, func() {
		p.client.mu.Lock()
		defer p.client.mu.Unlock()
		p.paused = false
		p.client.pumpAll()
	})
}

// post makes one signed request.
func (p *poster) post(calls []Call, within time.Duration) (*reply, error) {
	return withEachSecret(p.client.signers, func(s *signer) (*reply, error) {
		return p.postWith(s, calls, within)
	})
}

func (p *poster) postWith(signer *signer, calls []Call, within time.Duration) (*reply, error) {
	c := p.client
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	var wrote atomic.Bool
	trace := &httptrace.ClientTrace{WroteHeaders: func() { wrote.Store(true) }}
	body := appendRequest(nil, c.options.Node, calls)
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodPost,
		c.target.url(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("calling Rails: %w: %w", err, ErrNotSent)
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
		return nil, fmt.Errorf("calling Rails: %w", err)
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
		return nil, fmt.Errorf("reading Rails' answer: longer than %d bytes", limit)
	case response.StatusCode != http.StatusOK:
		return nil, newStatusError(response.StatusCode, text)
	}
	r, err := parseReply(text)
	if err == nil && len(r.results) != len(calls) {
		err = fmt.Errorf("reading Rails' answer: %d results for %d calls", len(r.results), len(calls))
	}
	return r, err
}

// settings asks Rails for the app's settings, by a POST without calls.
func (p *poster) settings(within time.Duration) (*Settings, error) {
	now := time.Now()
	asked := &Pending{client: p.client, call: &Call{Do: SettingsOnly}, madeAt: now, sentAt: now}
	r, err := p.post(nil, within)
	if err == nil && r.settings == nil {
		err = errors.New("Rails answered without settings: use the same version of the gem and of catenary")
	}
	p.client.observe(asked, &Result{}, err, time.Now())
	if err != nil {
		return nil, err
	}
	r.settings.received(time.Now())
	return r.settings, nil
}

func (p *poster) close() { p.http.CloseIdleConnections() }
