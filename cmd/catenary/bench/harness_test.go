package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a minimal Action Cable server with the faults that a test sets. Real servers are
// measured in cmd/catenary/test/measure.
type server struct {
	*httptest.Server
	refuse  func(*http.Request) bool         // the handshake
	deliver func(message string) []string    // returns what is delivered of a broadcast
	handle  func(s *server, r *http.Request) // is called with every handshake
	mu      sync.Mutex
	streams map[string][]*subscriber
}

type subscriber struct {
	mu         sync.Mutex
	socket     *websocket.Conn
	identifier string
}

func newServer(t *testing.T) *server {
	s := &server{streams: map[string][]*subscriber{}, deliver: func(m string) []string { return []string{m} }}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.handle != nil {
		s.handle(s, r)
	}
	if s.refuse != nil && s.refuse(r) {
		http.Error(w, "no", http.StatusForbidden)
		return
	}
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	socket, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer socket.Close()
	me := &subscriber{socket: socket}
	me.write(`{"type":"welcome"}`)
	stop := make(chan struct{})
	defer close(stop)
	go me.ping(stop)
	for {
		var command struct{ Command, Identifier, Data string }
		if socket.ReadJSON(&command) != nil {
			return
		}
		s.obey(me, command.Command, command.Identifier, command.Data)
	}
}

func (s *server) obey(me *subscriber, command, identifier, data string) {
	var channel, action struct{ Channel, Stream, Action string }
	json.Unmarshal([]byte(identifier), &channel)
	json.Unmarshal([]byte(data), &action)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case command == "subscribe" && channel.Channel == "RejectChannel":
		me.write(fmt.Sprintf(`{"identifier":%q,"type":"reject_subscription"}`, identifier))
	case command == "subscribe" && channel.Channel == "UnknownChannel":
	case command == "subscribe":
		me.identifier = identifier
		s.streams[channel.Stream] = append(s.streams[channel.Stream], me)
		me.write(fmt.Sprintf(`{"identifier":%q,"type":"confirm_subscription"}`, identifier))
	case action.Action == "echo":
		me.write(fmt.Sprintf(`{"identifier":%q,"message":%s}`, identifier, data))
	case action.Action == "broadcast":
		for _, message := range s.deliver(data) {
			for _, one := range s.streams[channel.Stream] {
				one.write(fmt.Sprintf(`{"identifier":%q,"message":%s}`, one.identifier, message))
			}
		}
	}
}

func (me *subscriber) write(frame string) {
	me.mu.Lock()
	defer me.mu.Unlock()
	me.socket.WriteMessage(websocket.TextMessage, []byte(frame))
}

func (me *subscriber) ping(stop chan struct{}) {
	for {
		select {
		case <-time.After(50 * time.Millisecond):
			me.write(`{"type":"ping","message":1}`)
		case <-stop:
			return
		}
	}
}

// measure runs one scenario with small numbers.
func (s *server) measure(t *testing.T, scenario string, change func(*Options)) (map[string]float64, error) {
	t.Helper()
	o := Options{
		URL: s.URL + "/cable", Scenarios: []string{scenario}, Identifier: `{"channel":"BenchChannel","stream":"{stream}"}`,
		Connections: 12, Streams: 1, Messages: 20, Size: 120, InFlight: 1, AtOnce: 4, Data: `{"bench":"{payload}"}`,
		RedisChannel: "{stream}", BroadcastAction: "broadcast", Action: "echo",
		Hold: 300 * time.Millisecond, Timeout: 5 * time.Second, Patience: 300 * time.Millisecond,
	}
	if change != nil {
		change(&o)
	}
	report, err := Run(t.Context(), o, NewProgress(io.Discard))
	if err != nil {
		return nil, err
	}
	return report.Results[0].Figures, nil
}

func must(t *testing.T, figures map[string]float64, err error, want map[string]float64) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range want {
		if got, known := figures[key]; !known || got != value {
			t.Errorf("%s is %v, not %v", key, figures[key], value)
		}
	}
}

func mustFail(t *testing.T, err error, with string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), with) {
		t.Fatalf("got %v, not an error with %q", err, with)
	}
}
