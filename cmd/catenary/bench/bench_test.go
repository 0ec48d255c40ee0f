package bench

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestFanout_CountsEveryDelivery(t *testing.T) {
	figures, err := newServer(t).measure(t, "fanout", nil)
	must(t, figures, err, map[string]float64{"deliveries": 240, "lost": 0, "duplicated": 0, "reordered": 0, "dropped": 0})
	if figures["latency_p50_ms"] <= 0 || figures["latency_max_ms"] < figures["latency_p99_ms"] || figures["deliveries_per_s"] <= 0 {
		t.Errorf("impossible figures: %v", figures)
	}
}

func TestFanout_SpreadsConnectionsOverStreams(t *testing.T) {
	figures, err := newServer(t).measure(t, "fanout", func(o *Options) { o.Streams, o.InFlight = 5, 4 }) // three clients on two streams, two on three
	must(t, figures, err, map[string]float64{"deliveries": 4 * (3 + 3 + 2 + 2 + 2), "lost": 0})
}

func TestFanout_CountsLostDuplicatedAndReorderedMessages(t *testing.T) {
	s := newServer(t)
	sequence := regexp.MustCompile(`~(\d+)~`)
	var held string
	measured := false // nothing is lost in the warm-up
	s.deliver = func(message string) []string {
		number := sequence.FindStringSubmatch(message)[1]
		defer func() { measured = measured || number == "9" }()
		switch {
		case !measured:
		case number == "3":
			return nil
		case number == "5":
			return []string{message, message}
		case number == "7":
			held = message
			return nil
		case number == "8":
			return []string{message, held}
		}
		return []string{message}
	}
	figures, err := s.measure(t, "fanout", func(o *Options) { o.Rate = 1000 })
	must(t, figures, err, map[string]float64{"deliveries": 19 * 12, "lost": 12, "duplicated": 12, "reordered": 12})
}

func TestFanout_SaysWhatToCheckIfNothingArrives(t *testing.T) {
	s := newServer(t)
	s.deliver = func(string) []string { return nil }
	_, err := s.measure(t, "fanout", nil)
	mustFail(t, err, "does the channel have the action")
}

func TestFanout_AdvisesARateIfSomeAreLost(t *testing.T) {
	s, n := newServer(t), 0
	s.deliver = func(m string) []string {
		if n++; n > 15 {
			return nil
		}
		return []string{m}
	}
	_, err := s.measure(t, "fanout", nil)
	mustFail(t, err, "use --rate")
}

func TestEcho_ReturnsToTheClientThatPerforms(t *testing.T) {
	figures, err := newServer(t).measure(t, "echo", func(o *Options) { o.InFlight = 3; o.Size = 2000 })
	must(t, figures, err, map[string]float64{"round_trips": 20, "lost": 0, "duplicated": 0})
}

func TestStorm_CountsFailures(t *testing.T) {
	s := newServer(t)
	var n atomic.Int64
	s.refuse = func(*http.Request) bool { return n.Add(1)%4 == 0 }
	figures, err := s.measure(t, "storm", nil)
	must(t, figures, err, map[string]float64{"confirmed": 9, "failed": 3})
}

func TestOthers_FailIfAClientFails(t *testing.T) {
	s := newServer(t)
	var n atomic.Int64
	s.refuse = func(*http.Request) bool { return n.Add(1)%4 == 0 }
	_, err := s.measure(t, "fanout", nil)
	mustFail(t, err, "3 of 12 connections failed, one of them with: the server answered the handshake with 403 Forbidden")
}

func TestSubscribe_SaysThatTheChannelRejects(t *testing.T) {
	_, err := newServer(t).measure(t, "echo", func(o *Options) { o.Identifier = `{"channel":"RejectChannel"}` })
	mustFail(t, err, "rejected the subscription")
}

func TestSubscribe_TimesOut(t *testing.T) {
	_, err := newServer(t).measure(t, "echo", func(o *Options) {
		o.Identifier, o.Timeout = `{"channel":"UnknownChannel"}`, 200*time.Millisecond
	})
	mustFail(t, err, "no confirm_subscription within 200ms: does --identifier name a channel")
}

func TestIdle_CountsPingsAndMeasuresTheProcess(t *testing.T) {
	figures, err := newServer(t).measure(t, "idle", func(o *Options) { o.Processes = []string{fmt.Sprint(os.Getpid())} })
	must(t, figures, err, map[string]float64{"connections": 12})
	if figures["pings"] < 12 || figures["ping_gap_max_ms"] < 40 {
		t.Errorf("with a ping every 50 ms, got %v", figures)
	}
	for _, key := range []string{"memory_kb_per_connection", "cpu_us_per_ping_after_opening", "cpu_us_per_ping"} {
		if _, known := figures[key]; !known {
			t.Errorf("%s is missing", key)
		}
	}
}

func TestHandshake_HasTheGivenHeaders(t *testing.T) {
	s := newServer(t)
	var mu sync.Mutex
	var seen []string
	s.handle = func(_ *server, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, strings.Join([]string{r.URL.RawQuery, r.Header.Get("Origin"), r.Header.Get("Cookie"), r.Header.Get("X-Tenant"), r.Header.Get("Sec-WebSocket-Protocol")}, " "))
	}
	_, err := s.measure(t, "storm", func(o *Options) {
		o.URL += "?uid={i}"
		o.Connections, o.Origin, o.Cookie, o.Header = 2, "http://allowed.example", "session={i}", []string{"X-Tenant: acme"}
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(seen)
	want := []string{
		"uid=0 http://allowed.example session=0 acme actioncable-v1-json, actioncable-unsupported",
		"uid=1 http://allowed.example session=1 acme actioncable-v1-json, actioncable-unsupported",
	}
	if !slices.Equal(seen, want) {
		t.Errorf("got %q", seen)
	}
}

func TestSecrets_AreNotRepeated(t *testing.T) {
	const secret = "hunter2"
	s := newServer(t)
	report, err := Run(t.Context(), Options{
		URL: s.URL + "/cable?token=" + secret, Connections: 1, Streams: 1, Messages: 1, Size: 1, InFlight: 1, AtOnce: 1, Data: `{"b":"{payload}"}`,
	}, NewProgress(os.Stderr))
	if err != nil || strings.Contains(report.URL, secret) {
		t.Errorf("the report repeats a token: %v %v", report, err)
	}
	for _, change := range []func(*Options){
		func(o *Options) { o.URL = "ws://user:" + secret + "@[::1/cable" },
		func(o *Options) { o.RedisURL = "redis://:" + secret + "@host:port" },
		func(o *Options) { o.Header = []string{secret} },
	} {
		if _, err := s.measure(t, "fanout", change); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("got %v", err)
		}
	}
}

func TestOptions_AreCheckedBeforeConnecting(t *testing.T) {
	s := newServer(t)
	s.handle = func(*server, *http.Request) { t.Error("a connection was opened") }
	for with, change := range map[string]func(*Options){
		"--connections 0":          func(o *Options) { o.Connections = 0 },
		"--streams 13":             func(o *Options) { o.Streams = 13 },
		"--rate":                   func(o *Options) { o.Rate = -1 },
		"--data must be":           func(o *Options) { o.Data = `{"bench":1}` },
		"--pid puma":               func(o *Options) { o.Processes = []string{"puma"} },
		"no such process":          func(o *Options) { o.Processes = []string{"999999999"} },
		"begins with ftp:":         func(o *Options) { o.URL = "ftp://localhost/cable" },
		"is not a URL":             func(o *Options) { o.URL = "localhost" },
		"of the form 'Name: value": func(o *Options) { o.Header = []string{"Origin"} },
	} {
		_, err := s.measure(t, "fanout", change)
		mustFail(t, err, with)
	}
}
