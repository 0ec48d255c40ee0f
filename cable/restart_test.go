package cable

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cable/lease"
	"github.com/catenary-cable/catenary/rpc"
	"github.com/gorilla/websocket"
)

const comeBack = `{"type":"disconnect","reason":"server_restart","reconnect":true}`

func reconnecting(s *setup) { s.restart = Restart{Reconnect: true, Over: time.Minute} }

func (w *world) subscribers(n int) (browsers []*browser) {
	for range n {
		b := w.welcomed()
		b.subscribe("chat room")
		b.expect(confirmed("chat room"))
		browsers = append(browsers, b)
	}
	return browsers
}

// restartRails restarts Rails and waits until catenary is linked to the new process only.
func (w *world) restartRails() {
	w.rails.Restart()
	w.eventually("the new process is linked", func() bool {
		all := w.server.backend.Processes()
		return len(all) == 1 && all[0].ID == w.rails.Name
	})
}

func TestRestart_KeepsBrowsersByDefault(t *testing.T) {
	w := newWorld(t)
	browsers := w.subscribers(3)
	w.restartRails()
	for _, b := range browsers {
		b.send(`{"command":"message","identifier":"chat room","data":"1"}`)
		b.expect(message("chat room", "1"))
	}
}

// The new process has never seen these browsers, so none of their callbacks run there.
func TestRestart_ReconnectsBrowsersAndRunsNoCallbacksElsewhere(t *testing.T) {
	w := newWorld(t, reconnecting)
	browsers := w.subscribers(5)
	w.rails.Restart()
	for _, b := range browsers {
		b.expect(comeBack)
		b.expectClose(websocket.CloseNormalClosure)
	}
	w.eventually("they are gone", func() bool { return w.server.Stats().Connections == 0 })
	stats := w.server.Stats()
	if stats.Ends[railsRestarted] != 5 || stats.DisconnectsLost != 0 {
		t.Errorf("%d were closed because of the restart, and %d disconnects count as lost", stats.Ends[railsRestarted], stats.DisconnectsLost)
	}
	if n := len(w.rails.made(rpc.Close)); n != 0 {
		t.Errorf("the new process got %d close calls", n)
	}
	w.subscribers(1)
}

func TestRestart_RunsNoCommandElsewhere(t *testing.T) {
	w := newWorld(t, reconnecting)
	waiting, release := make(chan bool), make(chan bool)
	w.rails.onCall(func(call railsCall) map[string]any {
		if call.Do == rpc.Frames && strings.Contains(call.Frames[0], "message") {
			waiting <- true
			<-release
			return nil
		}
		return behave(call)
	})
	b := w.subscribers(1)[0]
	b.send(`{"command":"message","identifier":"chat room","data":"1"}`)
	<-waiting
	b.send(`{"command":"unsubscribe","identifier":"chat room"}`)
	w.eventually("the unsubscribe is queued", func() bool { return w.server.Stats().Commands["unsubscribe"] == 1 })
	w.rails.Restart()
	close(release)
	b.expect(comeBack)
	w.eventually("it is gone", func() bool { return w.server.Stats().Connections == 0 })
	for _, call := range w.rails.made(rpc.Frames) {
		if strings.Contains(call.Frames[0], "unsubscribe") {
			t.Errorf("the new process got %s", call.Frames[0])
		}
	}
}

// A process that has announced its stop and handed over its state may stay after all. Its browsers reconnect only
// when it is gone.
func TestRestart_KeepsBrowsersWhoseProcessStays(t *testing.T) {
	w := newWorld(t, reconnecting)
	b := w.subscribers(1)[0]
	link := w.rails.Links()[0]
	for _, how := range []string{"began", "handed", "revoked"} {
		link.Write(`{"going":"` + how + `"}`)
	}
	b.send(`{"command":"message","identifier":"chat room","data":"1"}`)
	b.expect(message("chat room", "1"))
	w.rails.Cut() // only the link
	w.eventually("another link is open", func() bool { return w.server.backend.LinksOpened() == 2 })
	b.send(`{"command":"message","identifier":"chat room","data":"2"}`)
	b.expect(message("chat room", "2"))
}

func TestRestart_StaggersReconnectsAtThePaceAtWhichRailsOpens(t *testing.T) {
	w := newWorld(t, reconnecting)
	w.rails.onCall(func(call railsCall) map[string]any {
		if call.Do == rpc.Open {
			time.Sleep(100 * time.Millisecond)
		}
		return behave(call)
	})
	w.subscribers(4)
	w.rails.Restart()
	began := time.Now()
	w.eventually("all are disconnected", func() bool { return w.server.Stats().Ends[railsRestarted] == 4 })
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("they were disconnected within %v, though Rails needs 100 ms for each", took)
	}
}

// While no Rails process is linked, browsers stay and get broadcasts.
func TestRestart_WaitsForANewProcess(t *testing.T) {
	w := newWorld(t, reconnecting)
	b := w.subscribers(1)[0]
	w.rails.Server.Close() // also waits for dials that have begun
	w.rails.Restart()
	w.eventually("the link is gone", func() bool { return len(w.server.backend.Processes()) == 0 })
	w.source.publish <- [2]string{"room", `1`}
	b.expect(message("chat room", `1`))
	listener, err := net.Listen("tcp", w.rails.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	back := &http.Server{Handler: w.rails.Rails}
	go back.Serve(listener)
	t.Cleanup(func() { back.Close() })
	b.expect(comeBack)
}

// The process dies after it has answered the handshake and before the server has registered the connection.
func TestRestart_ReconnectsABrowserThatWasJustBeingOpened(t *testing.T) {
	w := newWorld(t, reconnecting)
	w.rails.onCall(func(call railsCall) map[string]any {
		if call.Do != rpc.Open {
			return behave(call)
		}
		go func() {
			links := w.rails.Links()
			links[len(links)-1].End(call, `{"status":200,"ver":"1","state":"s","kept":true,"ops":[["welcome"]]}`)
			w.rails.onCall(behave)
			w.rails.Restart()
		}()
		return nil
	})
	b := w.welcomed()
	b.expect(comeBack)
}

// Another node and its Rails process died together: no other process has seen these browsers.
func TestRestart_RunsNoCallbacksForAnotherNodeElsewhere(t *testing.T) {
	w := newWorld(t, reconnecting)
	w.subscribers(1)
	done, err := w.server.Close(t.Context(), []lease.Record{
		{Connection: "m:1", Text: []byte("b-gone\n" + `{"conn":"m:1","do":"close"}`)},
		{Connection: "m:2", Text: []byte(w.rails.Name + "\n" + `{"conn":"m:2","do":"close"}`)},
	})
	if err != nil || len(done) != 2 {
		t.Errorf("%v are done: %v", done, err)
	}
	if closes := w.rails.made(rpc.Close); len(closes) != 1 || closes[0].Connection != "m:2" {
		t.Errorf("Rails got the close calls %v", closes)
	}
}
