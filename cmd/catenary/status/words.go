package status

import "strings"

// words are what the page and top call what metrics name; what is not here is
// called by its name.
var words = map[string]string{
	// why connections end
	"browser_closed": "page left", "browser_lost": "browser vanished", "slow": "browser too slow",
	"connect_failed": "connect raised", "open_timeout": "connect took too long", "rails_closed": "closed by the app",
	"rails_failed": "Rails did not answer", "state_lost": "lost with its process", "rails_restarted": "Rails restarted",
	"server_restart": "catenary stopped", "taken_over": "taken over", "memory": "short of memory",
	"app_closed": "closed by the app", "app_lost": "the app is gone",
	// what handshakes come to
	"incomplete": "incomplete request", "no_upgrade": "no WebSocket", "origin": "origin not allowed",
	"refused_origin": "Rails: origin", "refused_https": "Rails: https only", "refused_redirect": "Rails: redirected", "refused_host": "Rails: host",
	"refused_path": "Rails: unknown path", "refused_error": "Rails: error", "refused_other": "Rails: refused",
	"connections_per_address": "many from an address", "handshakes_per_second_per_address": "fast from an address",
	"handshakes_per_second": "too many a second", "max_connections": "too many",
	"rails_busy": "Rails is busy", "rails_unavailable": "Rails not reached", "stopping": "catenary stops",
	// calls
	"open": "connect", "frames": "commands", "message": "stream blocks", "tick": "timers", "close": "disconnect",
}

func inWords(name string) string {
	if text := words[name]; text != "" {
		return text
	}
	return strings.ReplaceAll(name, "_", " ")
}
