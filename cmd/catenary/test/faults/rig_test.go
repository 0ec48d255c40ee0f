package faults

import (
	"context"
	"encoding/json"
	"fmt"
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

// A rig is what a fault strikes: Redis, Rails and catenary, faulty proxies between them, and browsers that keep
// accounts. Numbers are published all the time.
type rig struct {
	*testing.T
	redis     *stage.Redis
	cluster   []*stage.Redis
	app       *stage.App
	catenary  *stage.Catenary
	toRedis   *stage.FaultyProxy
	toRails   *stage.FaultyProxy // nil: nothing is between, and a Puma that is down refuses
	toBrowser *stage.FaultyProxy // between a few of the browsers and catenary
	where     []string           // flags that tell catenary where Redis is
	flags     []string           // its others

	stream    string
	publisher redis.UniversalClient
	published atomic.Int64 // the last number, which may still be on its way
	holding   sync.Mutex   // held: nothing is published
	mu        sync.Mutex
	reached   map[int]bool // numbers that Redis has taken

	riders []*rider // who are there when the fault strikes
	joined int
	all    []*rider         // who ever came
	behind []*rider         // of these, those behind toBrowser
	later  []*rider         // who come meanwhile
	crowd  []*stage.Browser // others, who keep no accounts
	before usage
	ready  *readyLog
	struck int // numbers up to here came before the fault
	mended int // those from here on came after it
	atEnd  usage
}

// A usage is what catenary holds.
type usage struct{ goroutines, descriptors int }

const (
	ridersThere  = 12
	ridersBehind = 3
)

// awaits ends the test if something does not come about.
func (s *rig) awaits(what string, condition func() bool) {
	s.Helper()
	if !stage.Await(condition) {
		s.Fatalf("not so: %s. catenary wrote at last:\n%s", what, s.catenary.Process.Output.Tail())
	}
}

func (s *rig) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// start starts what is not there yet.
func (s *rig) start() {
	if s.redis == nil {
		s.startRedis()
	}
	if s.publisher == nil {
		s.publisher = redis.NewClient(publishing(s.redis.Address))
	}
	s.Cleanup(func() { s.publisher.Close() })
	if s.where == nil {
		s.where = []string{"--broadcasts-redis-url", "redis://" + s.toRedis.Address + "/1"}
	}
	rails := s.app
	if s.toRails != nil {
		rails = &stage.App{Address: s.toRails.Address}
	}
	s.catenary = &stage.Catenary{Address: stage.FreeAddress(), Operations: stage.FreeAddress()}
	flags := append([]string{"--broadcasts-probe=false"}, s.where...) // the test broadcasts, and not Rails, which knows another Redis
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

// publishing never gives up on a Redis that is silent: it would not know what Redis has taken.
func publishing(address string) *redis.Options {
	return &redis.Options{Addr: address, Protocol: 2, MaxRetries: -1, DialerRetries: 1, ReadTimeout: 5 * time.Minute, DialTimeout: time.Second}
}

// silenceRedis keeps go-redis from telling of every connection that is refused.
var silenceRedis = sync.OnceFunc(logging.Disable)

// startOwnApp starts an application that this stage may disturb.
func (s *rig) startOwnApp(env ...string) {
	if s.redis == nil {
		s.startRedis()
	}
	var err error
	s.app, err = stage.StartApp("lab", true, append(env, "REDIS_URL="+s.redis.URL(), "LAB_LOG="+filepath.Join(s.TempDir(), "events"))...)
	s.must(err)
	s.Cleanup(func() { s.app.Close() })
}

// startProxiedApp starts one behind a proxy.
func (s *rig) startProxiedApp(env ...string) {
	s.startOwnApp(env...)
	s.toRails = stage.StartProxy(s.T, s.app.Address)
}

// shortFolder is for Unix sockets, whose paths have 107 bytes at most.
func (s *rig) shortFolder() string {
	folder, err := os.MkdirTemp("", "stage")
	s.must(err)
	s.Cleanup(func() { os.RemoveAll(folder) })
	return folder
}

// publish publishes numbers until ctx ends.
func (s *rig) publish(ctx context.Context) {
	for ctx.Err() == nil {
		s.holding.Lock()
		n := int(s.published.Add(1))
		err := s.publisher.Publish(ctx, s.stream, fmt.Sprintf(`{"n":%d}`, n)).Err()
		if err == nil {
			s.mu.Lock()
			s.reached[n] = true
			s.mu.Unlock()
		}
		s.holding.Unlock()
		time.Sleep(20 * time.Millisecond)
	}
}

// settle waits until everybody has heard everything.
func (s *rig) settle(riders ...*rider) {
	s.holding.Lock()
	defer s.holding.Unlock()
	last := 0
	s.mu.Lock()
	for n := range s.reached {
		last = max(last, n)
	}
	s.mu.Unlock()
	stage.Await(func() bool {
		return every(riders, func(l *life) bool { return l.from > last || len(l.heard) > 0 && l.heard[len(l.heard)-1] >= last })
	})
}

// every is true if it is of the current life of each.
func every(riders []*rider, true func(*life) bool) bool {
	return !slices.ContainsFunc(riders, func(r *rider) bool { return !r.is(true) })
}

// join brings browsers that stay until they leave.
func (s *rig) join(number int, via string) (riders []*rider) {
	for range number {
		s.joined++
		r := &rider{stage: s, name: fmt.Sprintf("%s-%d", s.stream, s.joined), via: via, left: make(chan struct{})}
		riders, s.all = append(riders, r), append(s.all, r)
		go r.ride()
	}
	return riders
}

// act has each perform actions of this many seconds.
func act(riders []*rider, actions int, seconds float64) {
	for range actions {
		for _, r := range riders {
			r.act(seconds)
		}
	}
}

// usage asks catenary what it holds.
func (s *rig) usage() (u usage) {
	u.goroutines, u.descriptors = int(s.metric("go_goroutines")), int(s.metric("process_open_fds"))
	return u
}

// metric is the value of a line of /metrics, 0 if there is none.
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

// says counts the lines of catenary's log with this text.
func (s *rig) says(text string) int { return strings.Count(s.catenary.Process.Output.String(), text) }

// events are what Rails has written down of a user, also while it is away.
func (s *rig) events() map[string][]string {
	file := eventLog(s.app)
	text, err := os.ReadFile(file)
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

// eventLog is the file of the event log.
func eventLog(a *stage.App) string {
	for _, variable := range a.Env {
		if file, ok := strings.CutPrefix(variable, "LAB_LOG="); ok {
			return file
		}
	}
	return ""
}

// A readyLog is all that /ready has said, without repetition.
type readyLog struct {
	mu   sync.Mutex
	said []string
}

func (s *rig) watchReady(ctx context.Context) *readyLog {
	log := &readyLog{}
	go func() {
		for ctx.Err() == nil {
			said := "ready"
			if err := s.catenary.Ready(); err != nil {
				said = err.Error()
			}
			log.mu.Lock()
			if len(log.said) == 0 || log.said[len(log.said)-1] != said {
				log.said = append(log.said, said)
			}
			log.mu.Unlock()
			time.Sleep(100 * time.Millisecond)
		}
	}()
	return log
}

func (l *readyLog) unready() (said []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, text := range l.said {
		if text != "ready" {
			said = append(said, text)
		}
	}
	return said
}
