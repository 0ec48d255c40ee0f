package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Options say what to measure, and how much of it.
type Options struct {
	URL        string
	Scenarios  []string
	Identifier string // of the subscription; {stream} and {i} are replaced
	Origin     string // "": the server's own
	Header     []string
	Cookie     string

	Connections int
	Streams     int
	Messages    int
	Size        int     // of a message's JSON, in bytes
	Rate        float64 // messages per second; 0: send the next when one has arrived
	InFlight    int     // messages in flight at once, if Rate is 0
	Data        string  // JSON object of a message; {payload} is replaced
	AtOnce      int     // connections opened at the same time

	RedisURL        string // "": broadcast by BroadcastAction
	RedisChannel    string // {stream} is replaced
	BroadcastAction string
	Action          string // of echo

	Processes []string // "123" or "puma=123"
	Hold      time.Duration
	Settle    time.Duration // between opening and measuring
	Timeout   time.Duration // of a handshake, a confirmation, a write
	Patience  time.Duration // how long to wait for a missing delivery
}

// Scenarios returns all scenarios, in the order in which they run.
func Scenarios() []string { return []string{"idle", "fanout", "echo", "storm"} }

// maxConnections is below the number of local ports for one server address.
const maxConnections = 25_000

// check rejects impossible options before a connection is opened.
func (o Options) check() error {
	for _, number := range []struct {
		flag     string
		n, least int
		most     int
	}{
		{"connections", o.Connections, 1, maxConnections},
		{"streams", o.Streams, 1, o.Connections},
		{"messages", o.Messages, 1, 10_000_000},
		{"size", o.Size, 1, 1 << 20},
		{"in-flight", o.InFlight, 1, 1 << 16},
		{"at-once", o.AtOnce, 1, maxConnections},
	} {
		if number.n < number.least || number.n > number.most {
			return fmt.Errorf("--%s %d: must be between %d and %d", number.flag, number.n, number.least, number.most)
		}
	}
	if o.Rate < 0 || o.Rate > 1e6 {
		return errors.New("--rate must be between 0 and 1000000")
	}
	if !strings.Contains(o.Data, "{payload}") || !strings.HasPrefix(o.Data, "{") || !json.Valid([]byte(o.Data)) {
		return errors.New("--data must be a JSON object with {payload} in one of its strings")
	}
	return nil
}
