package status

import "strings"

// words are what the page and top show for a reason, an outcome or a kind of call. Others are shown
// by their name.
var words = map[string]string{
	// why connections closed
	"browser_closed": "page closed", "browser_lost": "browser vanished", "slow": "browser too slow",
	"connect_failed": "connect raised", "open_timeout": "connect took too long", "rails_closed": "closed by the app",
	"rails_failed": "Rails did not answer", "state_lost": "state lost", "rails_restarted": "Rails restarted",
	"server_restart": "catenary stopped", "taken_over": "taken over", "memory": "short of memory",
	"app_closed": "closed by the app", "app_lost": "lost the app",
	// outcomes of handshakes
	"incomplete": "incomplete request", "no_upgrade": "not a WebSocket", "origin": "origin not allowed",
	"refused_origin": "Rails: origin", "refused_https": "Rails: https only", "refused_redirect": "Rails: redirected", "refused_host": "Rails: host",
	"refused_path": "Rails: unknown path", "refused_error": "Rails: error", "refused_other": "Rails: rejected",
	"connections_per_address": "too many per address", "handshakes_per_second_per_address": "too fast per address",
	"handshakes_per_second": "too many per second", "max_connections": "too many connections",
	"rails_busy": "Rails is busy", "rails_unavailable": "Rails not reached", "stopping": "catenary stopping",
	// calls
	"open": "connect", "frames": "commands", "message": "stream blocks", "tick": "timers", "close": "disconnect",
}

func inWords(name string) string {
	if text := words[name]; text != "" {
		return text
	}
	return strings.ReplaceAll(name, "_", " ")
}
