package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// run is one run of the bench against one server.
type run struct {
	Options
	target    *target
	processes []process
	progress  *Progress
	spread    []Bin // of the current scenario
}

// Run measures the scenarios, one after the other.
func Run(ctx context.Context, o Options, progress *Progress) (*Report, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	target, err := newTarget(o)
	if err != nil {
		return nil, err
	}
	r := &run{Options: o, target: target, progress: progress}
	for _, text := range o.Processes {
		p, err := parseProcess(text)
		if err != nil {
			return nil, err
		}
		r.processes = append(r.processes, p)
	}
	report := &Report{
		URL: target.url.Scheme + "://" + target.url.Host + target.url.Path,
		At:  time.Now().UTC().Truncate(time.Second),
	}
	scenarios := map[string]func(context.Context) (map[string]float64, error){
		"idle": r.idle, "fanout": r.fanout, "echo": r.echo, "storm": r.storm,
	}
	for _, name := range Scenarios() {
		if !slices.Contains(o.Scenarios, name) {
			continue
		}
		r.spread = nil
		figures, err := scenarios[name](ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		report.Results = append(report.Results,
			Result{Scenario: name, Settings: o.settings(name), Figures: figures, Spread: r.spread})
	}
	return report, nil
}

// streamNames returns names that no other run uses.
func (r *run) streamNames() []string {
	names := make([]string, r.Streams)
	random := strings.ToLower(rand.Text()[:8])
	for i := range names {
		names[i] = fmt.Sprintf("catenary-bench-%s-%d", random, i)
	}
	return names
}

// opened returns a crowd in which every client is subscribed.
func (r *run) opened(ctx context.Context, connections int, streams []string,
	receive func(*client, []byte)) (*crowd, error) {
	c := newCrowd(r.target, connections, streams, receive)
	title := fmt.Sprintf("opening %d connections", connections)
	confirmed := func() int { return int(c.confirmed.Load()) }
	err := r.progress.during(title, connections, confirmed, func() error {
		c.open(ctx, r.AtOnce)
		return c.complete()
	})
	if err == nil {
		err = r.wait(ctx, "waiting for the server to settle", r.Settle)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (r *run) wait(ctx context.Context, title string, d time.Duration) error {
	return r.progress.during(title, int(d/(100*time.Millisecond)), elapsed(), func() error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
}

// play sends a round to an open crowd, and shows its progress.
func (r *run) play(ctx context.Context, title string, p *round, send func(int, string) error) error {
	total := 0
	for i := range p.owed {
		total += int(p.owed[i].Load())
	}
	delivered := func() int { return int(p.delivered.Load()) }
	err := r.progress.during(title, total, delivered, func() error { return p.run(ctx, send) })
	if errors.Is(err, errNothing) && r.RedisURL != "" {
		return errors.New("no message arrives: is --redis-url the app's Redis, does --redis-channel have " +
			"the app's channel_prefix, and does the channel stream from the name in --identifier?")
	}
	if errors.Is(err, errNothing) {
		return errors.New("no message arrives: does the channel have the action, " +
			"and does it send its data unchanged?")
	}
	return err
}
