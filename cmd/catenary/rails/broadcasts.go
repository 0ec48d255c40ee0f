package rails

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/catenary-cable/catenary/cmd/catenary/doctor"
	"github.com/catenary-cable/catenary/config"
	"github.com/catenary-cable/catenary/rpc"
)

// Misdirected compares the settings that Rails reports with catenary's own, and returns what keeps
// catenary from receiving Rails' broadcasts. The finding is empty if nothing does.
func Misdirected(cfg *config.Config, settings *rpc.Settings) doctor.Finding {
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

// DescribeSource says which broadcasts catenary receives.
func DescribeSource(b config.Broadcasts) string {
	if b.Adapter == "rails" {
		return "Rails listens to what it broadcasts, and passes it on to catenary"
	}
	return fmt.Sprintf("catenary receives what is published at %s with %s", b.Redis, prefixed(b.ChannelPrefix))
}
