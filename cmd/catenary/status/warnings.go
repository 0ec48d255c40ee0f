package status

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// warnings returns what an operator should see first: the program's own warnings, handshakes that
// are being rejected, and a Rails that cannot keep up.
func warnings(now, then *Totals) (all []string) {
	all = append(all, now.Warnings...)
	before, after := then.handshakes(), now.handshakes()
	for _, reason := range slices.Sorted(maps.Keys(after)) {
		lately, guess := after[reason]-before[reason], now.Server.Guesses[reason]
		if lately == 0 || !alarming(reason, guess) {
			continue
		}
		handshakes := "handshakes"
		if lately == 1 {
			handshakes = "handshake"
		}
		text := fmt.Sprintf("%d %s rejected in the last minute (%s)", lately, handshakes, inWords(reason))
		if guess != "" {
			text += ": " + guess
		}
		all = append(all, text)
	}
	busy := 0
	for _, p := range now.Processes {
		busy += min(p.InFlight, p.Workers)
	}
	if now.Workers > 0 && busy >= now.Workers && now.Waiting > now.Workers {
		all = append(all, fmt.Sprintf("All %d workers of Rails are busy and %d calls are waiting: "+
			"a command takes long, or there are too few workers (config.catenary.workers)", now.Workers, now.Waiting))
	}
	return all
}

// alarming reports whether a rejection points to a wrong setup, rather than to the browser.
func alarming(reason, guess string) bool {
	switch {
	case reason == "no_upgrade":
		return strings.HasPrefix(guess, "a proxy")
	case reason == "opened", reason == "incomplete", reason == "malformed", reason == "stopping",
		strings.HasPrefix(reason, "token_") && reason != "token_keys_unavailable":
		return false
	}
	return true
}
