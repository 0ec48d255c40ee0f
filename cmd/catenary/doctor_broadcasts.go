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
	cfg := e.cfg
	switch {
	case settings != nil && settings.Cable != nil:
		var err error
		if cfg, err = completed(e.input, e.cfg, settings); err != nil {
			e.found("broadcasts", err, "")
			return
		}
		if f := misdirected(cfg, settings); f.Text != "" {
			e.tell(f)
		}
	case unresolved != nil:
		e.tell(doctor.Finding{Step: "broadcasts", Verdict: doctor.Skipped, Text: "only Rails could tell where they are published: " + unresolved.Error()})
		return
	}
	ours := cfg.Broadcasts
	if ours.Adapter == "rails" {
		e.tell(doctor.Finding{Step: "broadcasts", Verdict: doctor.Good, Text: "Rails listens to what it broadcasts, and tells the running catenary"})
		return
	}
	source, err := newSource(ours, nil, &gaps{}, slog.New(slog.DiscardHandler))
	if err == nil {
		err = doctor.RoundTrip(ctx, source)
	}
	e.found("broadcasts", err, heardAt(ours))
}

// misdirected finds what keeps catenary from hearing what Rails publishes, by
// what Rails tells of its cable.
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
		return doctor.Finding{} // whatever it is
	case rails.Adapter != "redis":
		return found(doctor.Bad, "Rails broadcasts with the adapter %s, which only Rails can hear, and catenary listens by broadcasts.adapter: %s (from %s): leave that to config/cable.yml, or write rails",
			rails.Adapter, ours.Adapter, cfg.Origin("broadcasts.adapter"))
	}
	if a, b := prefixed(ours.ChannelPrefix), prefixed(rails.ChannelPrefix); a != b {
		return found(doctor.Bad, "Rails publishes with %s, catenary listens with %s (broadcasts.channel_prefix from %s): leave it to config/cable.yml", b, a, cfg.Origin("broadcasts.channel_prefix"))
	}
	if server(ours.Redis.String()) != server(rails.Redis.String()) {
		return found(doctor.Doubt, "Rails publishes at %s, catenary listens at %s (broadcasts.redis.url from %s): that must be one Redis; leave it to config/cable.yml if you can",
			rails.Redis, ours.Redis, cfg.Origin("broadcasts.redis.url"))
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
