package cable

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/catenary-cable/catenary/cable/stats"
	"github.com/catenary-cable/catenary/rpc"
)

func TestStats_CountWhatBrowsersDo(t *testing.T) {
	w := newWorld(t)
	a, b := w.welcomed(), w.welcomed()
	for _, browser := range []*browser{a, b} {
		browser.subscribe("room stream")
		browser.expect(confirmed("room stream"))
	}
	a.subscribe("room stream")
	a.subscribe("reject")
	a.expect(`{"identifier":"reject","type":"reject_subscription"}`)
	a.send(`{"command":"message","identifier":"room stream","data":"1"}`)
	a.expect(message("room stream", "1"))
	a.send(`{"command":"dance","identifier":"room stream"}`)
	w.source.publish <- [2]string{"stream", `"hello"`}
	w.source.publish <- [2]string{"stream", `no JSON`}
	w.source.publish <- [2]string{"of nobody", `"hello"`}
	a.expect(message("room stream", `"hello"`))
	b.expect(message("room stream", `"hello"`))

	stats := w.server.Stats()
	if stats.Connections != 2 || stats.Subscriptions != 2 || stats.Handshakes != 0 || stats.Opened != 2 || stats.Repeated != 1 {
		t.Errorf("%+v", stats)
	}
	w.eventually("commands are counted by kind", func() bool {
		commands := w.server.Stats().Commands
		return commands["subscribe"] == 4 && commands["message"] == 1 && commands["unknown"] == 1 && commands["unsubscribe"] == 0
	})
	w.eventually("broadcasts are counted", func() bool {
		hub := w.hub.Stats()
		_, timed := hub.Latencies.Buckets()
		return hub.Broadcasts == 2 && timed == 2 && hub.Invalid == 1 && hub.Deliveries == 2 && hub.Latencies.Sum > 0
	})
	streams := w.hub.Stats().Streams

	b.send(`{"command":"unsubscribe","identifier":"room stream"}`)
	w.eventually("an unsubscribe is subtracted", func() bool { return w.server.Stats().Subscriptions == 1 })
	a.ws.Close()
	w.eventually("a disconnect subtracts its subscriptions", func() bool {
		stats := w.server.Stats()
		return stats.Subscriptions == 0 && stats.Connections == 1 && stats.Ends["browser_lost"] == 1
	})
	if left := w.hub.Stats().Streams; left >= streams {
		t.Errorf("%d streams, before the disconnect %d", left, streams)
	}
}

// Rails names the class, whatever the browser calls it.
func TestStats_CountByTheChannelsThatRailsNames(t *testing.T) {
	w := newWorld(t)
	w.rails.onCall(func(call railsCall) map[string]any {
		result := behave(call)
		ops := result["ops"].([]any)
		switch call.Do {
		case rpc.Frames:
			var frame struct{ Command, Identifier string }
			json.Unmarshal([]byte(call.Frames[0]), &frame)
			switch frame.Command + " " + frame.Identifier {
			case "subscribe room stream":
				result["ops"] = slices.Concat([]any{[]any{"channel", frame.Identifier, "RoomChannel", "confirmed"}}, ops)
			case "subscribe reject":
				result["ops"] = slices.Concat([]any{[]any{"channel", frame.Identifier, "RoomChannel", "rejected"}}, ops)
			case "message room stream":
				result["ops"] = slices.Concat(ops, []any{[]any{"channel", frame.Identifier, "RoomChannel", "raised"}})
			}
		case rpc.Close:
			result["ops"] = []any{[]any{"channel", "room stream", "RoomChannel", "raised"}}
		}
		return result
	})
	a, b := w.welcomed(), w.welcomed()
	for _, browser := range []*browser{a, b} {
		browser.subscribe("room stream")
		browser.expect(confirmed("room stream"))
	}
	a.subscribe("reject")
	a.expect(rejected("reject"))
	a.subscribe("unnamed")
	a.expect(confirmed("unnamed"))
	a.send(`{"command":"message","identifier":"room stream","data":"1"}`)
	a.expect(message("room stream", "1"))
	want := map[string]stats.ChannelCounts{"RoomChannel": {Subscriptions: 2, Rejections: 1, Exceptions: 1}, "other": {}}
	w.eventually("channels are counted", func() bool { return maps.Equal(w.server.Stats().Channels, want) })
	if users := w.hub.Stats().Users; users != 1 {
		t.Errorf("%d users", users)
	}

	b.send(`{"command":"unsubscribe","identifier":"room stream"}`)
	want["RoomChannel"] = stats.ChannelCounts{Subscriptions: 1, Rejections: 1, Exceptions: 1}
	w.eventually("an unsubscribe is subtracted", func() bool { return maps.Equal(w.server.Stats().Channels, want) })
	a.ws.Close()
	want["RoomChannel"] = stats.ChannelCounts{Rejections: 1, Exceptions: 2}
	w.eventually("a disconnect is subtracted, and its callbacks' exception counted", func() bool {
		return maps.Equal(w.server.Stats().Channels, want)
	})
	b.ws.Close()
	w.eventually("there are no users", func() bool { return w.hub.Stats().Users == 0 })
}
