package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

// A rig is the setup of a fault: Redis, Rails and catenary, faulty proxies between them, and
// browsers that keep records. It publishes numbers all the time.
type rig struct {
	*testing.T
	redis      *stage.Redis
	cluster    []*stage.Redis
	app        *stage.App
	catenary   *stage.Catenary
	toRedis    *stage.FaultyProxy
	toRails    *stage.FaultyProxy // nil if there is none, so that a Puma that is down refuses connections
	toBrowser  *stage.FaultyProxy // between a few of the browsers and catenary
	redisFlags []string           // catenary's flags for Redis
	flags      []string           // its other flags

	stream      string
	publisher   redis.UniversalClient
	numbering   *redis.Script // publishes with a number, and keeps a history; nil: PUBLISH does
	published   atomic.Int64  // the last number, perhaps still in flight
	publishLock sync.Mutex    // hold it to pause publishing
	mu          sync.Mutex
	accepted    map[int]bool // numbers that Redis has accepted

	recorders  []*recorder // connected before the fault
	joined     int
	all        []*recorder      // all that ever joined
	proxied    []*recorder      // those that connect through toBrowser
	later      []*recorder      // those that joined during the fault
	crowd      []*stage.Browser // others, without records
	before     usage
	ready      *readyLog
	lastBefore int // the last number that everybody had received before the fault
	firstAfter int // the first number after the fault
	settled    int // the last number that everybody had received at the end
	atEnd      usage
}

// A usage is the resources that catenary uses.
type usage struct{ goroutines, descriptors int }

const (
	directBrowsers  = 12
	proxiedBrowsers = 3
)

// waitFor fails the test unless a condition comes to hold.
func (s *rig) waitFor(what string, condition func() bool) {
	s.Helper()
	if !stage.Await(condition) {
		s.Fatalf("not so: %s. The end of catenary's output:\n%s", what, s.catenary.Process.Output.Tail())
	}
}

func (s *rig) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// start starts the parts that setup has not started.
func (s *rig) start() {
	if s.redis == nil {
		s.startRedis()
	}
	if s.publisher == nil {
		s.publisher = redis.NewClient(publishing(s.redis.Address))
	}
	s.Cleanup(func() { s.publisher.Close() })
	if s.redisFlags == nil {
		s.redisFlags = []string{"--broadcasts-redis-url", "redis://" + s.toRedis.Address + "/1"}
	}
	rails := s.app
	if s.toRails != nil {
		rails = &stage.App{Address: s.toRails.Address}
	}
	s.catenary = &stage.Catenary{Address: stage.FreeAddress(), Operations: stage.FreeAddress()}
	flags := append([]string{"--broadcasts-probe=false"}, s.redisFlags...) // the test publishes; Rails uses another Redis
	s.must(s.catenary.Up(rails, append(flags, s.flags...)...))
	s.Cleanup(s.catenary.Process.Kill)
	s.toBrowser = stage.StartProxy(s.T, s.catenary.Address)
}

func (s *rig) startRedis(arguments ...string) {
	var err error
	s.redis, err = stage.StartRedis(arguments...)
	s.must(err)
	s.Cleanup(s.redis.Close)
	s.toRedis = stage.StartProxy(s.T, s.redis.Address)
}

// publishing returns options with which a client waits for a silent Redis: after a timeout it would
// not know whether Redis has accepted the message.
func publishing(address string) *redis.Options {
	return &redis.Options{Addr: address, Protocol: 2, MaxRetries: -1, DialerRetries: 1, ReadTimeout: 5 * time.Minute, DialTimeout: time.Second}
}

// silenceRedis keeps go-redis from logging every refused connection.
var silenceRedis = sync.OnceFunc(logging.Disable)

// startOwnApp starts an application that this test may disturb.
func (s *rig) startOwnApp(env ...string) {
	if s.redis == nil {
		s.startRedis()
	}
	var err error
	s.app, err = stage.StartApp("lab", true, append(env, "REDIS_URL="+s.redis.URL(), "LAB_LOG="+filepath.Join(s.TempDir(), "events"))...)
	s.must(err)
	s.Cleanup(func() { s.app.Close() })
}

// startProxiedApp starts an application behind a proxy.
func (s *rig) startProxiedApp(env ...string) {
	s.startOwnApp(env...)
	s.toRails = stage.StartProxy(s.T, s.app.Address)
}

// shortFolder returns a folder for Unix sockets, whose paths are limited to 107 bytes.
func (s *rig) shortFolder() string {
	folder, err := os.MkdirTemp("", "stage")
	s.must(err)
	s.Cleanup(func() { os.RemoveAll(folder) })
	return folder
}

// publish publishes numbers until ctx ends.
func (s *rig) publish(ctx context.Context) {
	for ctx.Err() == nil {
		s.publishLock.Lock()
		n := int(s.published.Add(1))
		err := s.publishOne(ctx, n)
		if err == nil {
			s.mu.Lock()
			s.accepted[n] = true
			s.mu.Unlock()
		}
		s.publishLock.Unlock()
		time.Sleep(20 * time.Millisecond)
	}
}

func (s *rig) publishOne(ctx context.Context, n int) error {
	payload := fmt.Sprintf(`{"n":%d}`, n)
	if s.numbering == nil {
		return s.publisher.Publish(ctx, s.stream, payload).Err()
	}
	key := "{_catenary:history:" + s.stream + "}"
	epoch := fmt.Sprintf("%016x", rand.Uint64())
	return s.numbering.Run(ctx, s.publisher, []string{key, key + ":head"}, s.stream, payload, 5000, 300, epoch).Err()
}

// settle pauses publishing, waits until all of these recorders have received the last number, and
// returns it.
func (s *rig) settle(recorders ...*recorder) (last int) {
	s.publishLock.Lock()
	defer s.publishLock.Unlock()
	s.mu.Lock()
	for n := range s.accepted {
		last = max(last, n)
	}
	s.mu.Unlock()
	stage.Await(func() bool {
		return every(recorders, func(l *session) bool {
			return l.from > last || len(l.received) > 0 && l.received[len(l.received)-1] >= last
		})
	})
	return last
}

// every reports whether a condition holds for the open connection of every recorder.
func every(recorders []*recorder, condition func(*session) bool) bool {
	return !slices.ContainsFunc(recorders, func(r *recorder) bool { return !r.check(condition) })
}

// join starts recorders that stay until they leave.
func (s *rig) join(number int, via string) (recorders []*recorder) {
	for range number {
		s.joined++
		r := &recorder{rig: s, name: fmt.Sprintf("%s-%d", s.stream, s.joined), via: via, left: make(chan struct{})}
		recorders, s.all = append(recorders, r), append(s.all, r)
		go r.run()
	}
	return recorders
}

// act makes each recorder perform actions of this many seconds.
func act(recorders []*recorder, actions int, seconds float64) {
	for range actions {
		for _, r := range recorders {
			r.act(seconds)
		}
	}
}

// currentUsage reads catenary's usage from its metrics.
func (s *rig) currentUsage() (u usage) {
	u.goroutines, u.descriptors = int(s.metric("go_goroutines")), int(s.metric("process_open_fds"))
	return u
}

// metric returns the value of a line of /metrics, 0 if there is none.
func (s *rig) metric(name string) float64 {
	var text string
	stage.Await(func() (answers bool) {
		var err error
		text, err = stage.Get("http://" + s.catenary.Operations + "/metrics")
		return err == nil
	})
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	value, _ := strconv.ParseFloat(m[1], 64)
	return value
}

// logCount counts the log lines of catenary that contain text.
func (s *rig) logCount(text string) int {
	return strings.Count(s.catenary.Process.Output.String(), text)
}

// events returns Rails' event log by user. It reads the file, so it works while Rails is down.
func (s *rig) events() map[string][]string {
	text, err := os.ReadFile(s.app.Getenv("LAB_LOG"))
	if err != nil {
		s.Errorf("read the application's event log: %v", err)
	}
	events := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		var entry struct{ Event, User, Identifier string }
		if json.Unmarshal([]byte(line), &entry) == nil {
			events[entry.User] = append(events[entry.User], entry.Event)
		}
	}
	return events
}

// A readyLog collects the answers of /ready, without repetition.
type readyLog struct {
	mu      sync.Mutex
	answers []string
}

func (s *rig) watchReady(ctx context.Context) *readyLog {
	log := &readyLog{}
	go func() {
		for ctx.Err() == nil {
			answer := "ready"
			if err := s.catenary.Ready(); err != nil {
				answer = err.Error()
			}
			log.mu.Lock()
			if len(log.answers) == 0 || log.answers[len(log.answers)-1] != answer {
				log.answers = append(log.answers, answer)
			}
			log.mu.Unlock()
			time.Sleep(100 * time.Millisecond)
		}
	}()
	return log
}

func (l *readyLog) unready() (answer []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, text := range l.answers {
		if text != "ready" {
			answer = append(answer, text)
		}
	}
	return answer
}
