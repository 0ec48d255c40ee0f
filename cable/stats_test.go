package cable

import "testing"

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
