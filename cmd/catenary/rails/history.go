package rails

import (
	"log/slog"
	"time"

	"github.com/catenary-cable/catenary/cable/history"
	"github.com/catenary-cable/catenary/rpc"
)

// Keeping returns a function that sets which streams h reads, as the gem's settings list them.
func Keeping(h *history.History, log *slog.Logger) func(*rpc.Settings) {
	last := ""
	return func(s *rpc.Settings) {
		reason := ""
		var rules []history.Rule
		switch {
		case s.History == nil:
		case s.History.Problem != "":
			reason = s.History.Problem
		case h == nil:
			reason = "broadcasts do not come from Redis (broadcasts.adapter, pass_through)"
		default:
			for _, r := range s.History.Streams {
				rules = append(rules, history.Rule{Pattern: r.Pattern, Limit: r.Limit, TTL: time.Duration(r.TTL) * time.Second})
			}
		}
		if h != nil {
			h.Keep(rules)
		}
		if reason != "" && reason != last {
			log.Warn("config.catenary.history has no effect", "reason", reason)
		}
		last = reason
	}
}
