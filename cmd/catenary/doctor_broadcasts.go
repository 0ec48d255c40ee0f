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

// broadcasts compares where Rails publishes with where catenary subscribes, and broadcasts a
// message of its own there. settings are nil if Rails has reported none. unread is the value of
// config/cable.yml that only Rails can report.
func (e *examination) broadcasts(ctx context.Context, settings *rpc.Settings, unread error) {
	if e.cfg.PassesAll() {
		return
	}
	cfg := e.cfg
	switch {
	case settings != nil && settings.Cable != nil:
		var err error
		if cfg, err = completed(e.input, e.cfg, settings); err != nil {
			e.reportStep("broadcasts", err, "")
			return
		}
		if f := misdirected(cfg, settings); f.Text != "" {
			e.report(f)
		}
	case unread != nil:
		e.report(doctor.Finding{Step: "broadcasts", Verdict: doctor.Skipped, Text: "only Rails can report where they are published: " + unread.Error()})
		return
	}
	ours := cfg.Broadcasts
	if ours.Adapter == "rails" {
		e.report(doctor.Finding{Step: "broadcasts", Verdict: doctor.Good, Text: "Rails forwards its broadcasts to the running catenary"})
		return
	}
	source, err := newSource(ours, nil, &gaps{}, slog.New(slog.DiscardHandler))
	if err == nil {
		err = doctor.RoundTrip(ctx, source)
	}
	e.reportStep("broadcasts", err, describeSource(ours))
}

// misdirected compares the settings that Rails reports with catenary's own, and returns what keeps
// catenary from receiving Rails' broadcasts. The finding is empty if nothing does.
func misdirected(cfg *config.Config, settings *rpc.Settings) doctor.Finding {
	found := func(verdict doctor.Verdict, format string, args ...any) doctor.Finding {
		return doctor.Finding{Step: "broadcasts", Verdict: verdict, Text: fmt.Sprintf(format, args...)}
	}
	rails, err := config.PublishedTo(settings.Cable)
	ours := cfg.Broadcasts
	switch {
	case err != nil:
		return found(doctor.Bad, "%v", err)
	case ours.Adapter == "rails":
		return doctor.Finding{} // Rails forwards the broadcasts of any adapter
	case rails.Adapter != "redis":
		return found(doctor.Bad, "Rails broadcasts with the adapter %s, which only Rails can receive, but broadcasts.adapter is %s (from %s): remove that key, or set it to rails",
			rails.Adapter, ours.Adapter, cfg.Origin("broadcasts.adapter"))
	}
	if a, b := prefixed(ours.ChannelPrefix), prefixed(rails.ChannelPrefix); a != b {
		return found(doctor.Bad, "Rails publishes with %s, catenary listens with %s (broadcasts.channel_prefix from %s): leave it to config/cable.yml", b, a, cfg.Origin("broadcasts.channel_prefix"))
	}
	if server(ours.Redis.String()) != server(rails.Redis.String()) {
		return found(doctor.Doubt, "Rails publishes at %s, catenary listens at %s (broadcasts.redis.url from %s): both must be one Redis; leave the url to config/cable.yml if you can",
			rails.Redis, ours.Redis, cfg.Origin("broadcasts.redis.url"))
	}
	return doctor.Finding{}
}

// server is the part of a URL that matters: pub/sub is the same in all databases.
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

// prefixed describes a channel_prefix.
func prefixed(prefix *string) string {
	if prefix == nil {
		return "no channel_prefix"
	}
	return fmt.Sprintf("the channel_prefix %q", *prefix)
}
