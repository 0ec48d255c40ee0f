package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	"github.com/catenary-cable/catenary/cmd/catenary/doctor"
	"github.com/catenary-cable/catenary/config"
	"github.com/catenary-cable/catenary/rpc"
)

// broadcasts compares where Rails publishes with where catenary listens, and
// sends one of our own on the way. settings are nil if Rails does not tell,
// unresolved says that catenary would have to be told.
func (e *examination) broadcasts(ctx context.Context, settings *rpc.Settings, unresolved error) {
	if e.cfg.PassesAll() {
		return
	}
	ours := e.cfg.Broadcasts
	switch {
	case settings != nil && settings.Cable != nil:
		if unresolved != nil {
			told, err := completed(e.input, e.cfg, settings)
			if err != nil {
				e.found("broadcasts", err, "")
				return
			}
			ours = told.Broadcasts
		}
		if f := misdirected(ours, settings); f.Text != "" {
			e.tell(f)
		}
	case unresolved != nil:
		e.tell(doctor.Finding{Step: "broadcasts", Verdict: doctor.Skipped, Text: "only Rails could tell where they are published: " + unresolved.Error()})
		return
	}
	if ours.Adapter == "rails" {
		e.tell(doctor.Finding{Step: "broadcasts", Verdict: doctor.Good, Text: "Rails listens to what it broadcasts, and tells the running catenary"})
		return
	}
	ours = fromOutside(ours)
	source, err := newSource(ours, nil, &gaps{}, slog.New(slog.DiscardHandler))
	if err == nil {
		err = doctor.RoundTrip(ctx, source)
	}
	e.found("broadcasts", err, fmt.Sprintf("what is published at %s with %s arrives", ours.Redis, prefixed(ours.ChannelPrefix)))
}

// misdirected finds what keeps catenary from hearing what Rails publishes, by
// what Rails tells of its cable.
func misdirected(ours config.Broadcasts, settings *rpc.Settings) doctor.Finding {
	rails, err := config.PublishedTo(settings.Cable)
	if err != nil {
		return doctor.Finding{Step: "broadcasts", Verdict: doctor.Bad, Text: err.Error()}
	}
	if ours.Adapter == "rails" {
		return doctor.Finding{} // whatever it is
	}
	if rails.Adapter != "redis" {
		return doctor.Finding{Step: "broadcasts", Verdict: doctor.Bad, Text: fmt.Sprintf("Rails broadcasts with the adapter %s, which only Rails can hear: leave broadcasts.adapter to config/cable.yml, or write rails", rails.Adapter)}
	}
	if a, b := prefixed(ours.ChannelPrefix), prefixed(rails.ChannelPrefix); a != b {
		return doctor.Finding{Step: "broadcasts", Verdict: doctor.Bad, Text: fmt.Sprintf("Rails publishes with %s, catenary listens with %s: leave it to config/cable.yml", b, a)}
	}
	at, remedy := ours.Redis.String(), "that must be one Redis"
	if ours.Adapter == "embedded" {
		at, remedy = "redis://"+onThisMachine(ours.Embedded.Listen), `let config/cable.yml have url: <%= ENV.fetch("REDIS_URL") %>, and REDIS_URL the latter`
	}
	if server(at) != server(rails.Redis.String()) {
		return doctor.Finding{Step: "broadcasts", Verdict: doctor.Doubt, Text: fmt.Sprintf("Rails publishes at %s, catenary listens at %s: %s", rails.Redis, at, remedy)}
	}
	return doctor.Finding{}
}

// server is the part of a URL that counts: pub/sub is the same in all databases.
func server(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return text
	}
	host := strings.Replace(u.Hostname(), "localhost", "127.0.0.1", 1)
	if u.Port() == "" {
		return host + ":6379"
	}
	return host + ":" + u.Port()
}

func prefixed(prefix *string) string {
	if prefix == nil {
		return "no channel_prefix"
	}
	return fmt.Sprintf("the channel_prefix %q", *prefix)
}
