package conformance

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

var (
	differentialSeeds = flag.Int("seeds", 60, "number of random conversations of TestDifferential")
	differentialFirst = flag.Uint64("seed", 1, "the first of their seeds")
)

// Random conversations are held with Rails' own Action Cable and with catenary. The test compares
// frames, callbacks, and the streams that are open in Redis after every command. "rebuilt" is
// catenary with an application that keeps no objects, "post" is catenary without links, and behind
// "restarted" all Rails processes are restarted in the middle of every conversation, between
// commands, which must make no difference. Rails runs one command at a time here, so that its order
// is defined. -seeds 500 holds more conversations, -seed 7 -seeds 1 only that one.
func TestDifferential_RandomConversationsAreTheSame(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	t.Parallel()
	served := map[string]*stage.World{}
	for _, server := range []string{"rails", "catenary", "rebuilt", "post"} {
		served[server] = worlds.Find(t, worldKey{server, "in order"})
	}
	restarted, err := stage.StartWorld("catenary", "in order", "WEB_CONCURRENCY=2", "LAB_LOG="+filepath.Join(t.TempDir(), "events"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(restarted.Close)
	served["restarted"] = restarted

	var equal, commands int
	var restart sync.RWMutex
	for first := 0; first < *differentialSeeds; first += conversationsAtOnce {
		var comparisons []*comparison
		for i := first; i < min(first+conversationsAtOnce, *differentialSeeds); i++ {
			c := newComparison(newRandomConversation(*differentialFirst+uint64(i)), served, &restart)
			comparisons = append(comparisons, c)
		}
		concurrently(comparisons, (*comparison).begin)
		restart.Lock()
		var end sync.WaitGroup
		end.Go(func() { concurrently(comparisons, (*comparison).resume) })
		restarted.App.Restart(t)
		restart.Unlock()
		end.Wait()
		for _, c := range comparisons {
			c.close()
			if c.failed != nil {
				t.Errorf("seed %d: %v\n\n%s", c.random.seed, c.failed, c.transcript.String())
				continue
			}
			equal++
			commands += c.commands
		}
	}
	fmt.Printf("Rails %s\ndifferential: %d of %d random conversations equal, seeds %d to %d, %d steps each way, half of them live, rebuilt and by POST, half live, rebuilt and "+
		"with Rails restarted in the middle\n", stage.RailsVersion(), equal, *differentialSeeds, *differentialFirst, *differentialFirst+uint64(*differentialSeeds)-1, commands)
}

// conversationsAtOnce share a restart of Rails.
const conversationsAtOnce = 20

// concurrently runs a part of all conversations concurrently, except of those that have failed.
func concurrently(all []*comparison, part func(*comparison) error) {
	var group sync.WaitGroup
	for _, c := range all {
		if c.failed == nil {
			group.Go(func() { c.failed = part(c) })
		}
	}
	group.Wait()
}

// A comparison holds one conversation with several servers at once. The first is the reference.
type comparison struct {
	servers    []string
	worlds     []*stage.World
	browsers   []*stage.Browser
	random     *randomConversation
	moves      []move
	restart    *sync.RWMutex   // locked while Rails restarts
	transcript strings.Builder // in the format of testdata/transcripts
	commands   int
	failed     error
}

func newComparison(random *randomConversation, worlds map[string]*stage.World, restart *sync.RWMutex) *comparison {
	c := &comparison{servers: random.servers(), random: random, restart: restart}
	for _, server := range c.servers {
		c.worlds = append(c.worlds, worlds[server])
	}
	return c
}

// begin holds the first half of the conversation.
func (c *comparison) begin() error {
	path := c.random.handshake()
	fmt.Fprintf(&c.transcript, "# Random conversation %d.\n\nbrowser> GET %s\n", c.random.seed, path)
	for _, w := range c.worlds {
		b, err := stage.Dial(w.Address, stage.Handshake("GET", path, w.Address, nil))
		if err != nil {
			return err
		}
		c.browsers = append(c.browsers, b)
	}
	if err := c.compare(c.nothing(), true, false); err != nil {
		return err
	}
	for _, channel := range []string{fenceChannel, c.random.fenceStreamChannel()} {
		if err := c.take(move{speaker: "browser", text: stage.Command("subscribe", channel, nil), expects: stage.Confirmation(channel)}); err != nil {
			return err
		}
	}
	c.moves = c.random.moves()
	half := len(c.moves) / 2
	return c.takeAll(c.moves[:half])
}

// resume holds the second half of the conversation.
func (c *comparison) resume() error {
	if slices.Contains(c.servers, "restarted") {
		fmt.Fprintln(&c.transcript, "# Rails is restarted.")
	}
	if err := c.takeAll(c.moves[len(c.moves)/2:]); err != nil {
		return err
	}
	fmt.Fprintln(&c.transcript, "browser> (close 1000)")
	for _, b := range c.browsers {
		b.Write(stage.OpClose, stage.ClosePayload(1000, ""))
	}
	c.restart.RLock() // compareEvents makes requests to the app
	defer c.restart.RUnlock()
	return c.compareEvents()
}

func (c *comparison) takeAll(moves []move) error {
	for _, m := range moves {
		c.commands++
		if err := c.take(m); err != nil {
			return err
		}
	}
	return nil
}

func (c *comparison) close() {
	for _, b := range c.browsers {
		b.Close()
	}
}

// nothing returns an empty list of frames for each server.
func (c *comparison) nothing() [][]string { return make([][]string, len(c.browsers)) }

// take makes a move with every server, waits until each has done it, and compares the frames.
func (c *comparison) take(s move) error {
	if s.async {
		c.restart.RLock()
		defer c.restart.RUnlock()
	}
	if len(s.more) > 0 {
		fmt.Fprintf(&c.transcript, "browser> (batch)\n  %s\n", strings.Join(s.more, "\n  "))
	} else {
		fmt.Fprintf(&c.transcript, "%s> %s\n", s.speaker, s.text)
	}
	for i, b := range c.browsers {
		var err error
		switch {
		case s.speaker == "redis":
			err = c.worlds[i].Redis.Do(s.text)
		case len(s.more) > 0:
			for _, text := range s.more {
				err = b.Send(text)
			}
		default:
			err = b.Send(s.text)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.servers[i], err)
		}
	}
	frames := c.nothing()
	if s.expects != "" {
		if err := c.collect(frames, s.expects, true); err != nil {
			return err
		}
	}
	if s.opens != "" {
		for _, w := range c.worlds {
			if err := w.Redis.Do("PUBSUB NUMSUB " + s.opens + " => 1"); err != nil {
				return err
			}
		}
	}
	if s.speaker == "redis" || s.broadcasts { // a block in Ruby gets it before the command below
		publish, frame := c.random.fenceBroadcast()
		for _, w := range c.worlds {
			if err := w.Redis.Do(publish); err != nil {
				return err
			}
		}
		if err := c.collect(frames, frame, false); err != nil {
			return err
		}
	}
	fence, answer := c.random.fence()
	for _, b := range c.browsers {
		b.Send(fence)
	}
	if err := c.collect(frames, answer, false); err != nil {
		return err
	}
	return c.compare(frames, false, len(s.more) > 0)
}

// collect adds what every server sends up to this frame.
func (c *comparison) collect(frames [][]string, last string, includingIt bool) error {
	for i, b := range c.browsers {
		for {
			e, ok := stage.NextFrame(b)
			if !ok {
				return fmt.Errorf("%s has not sent %s within %v, but %q", c.servers[i], last, stage.Patience, frames[i])
			}
			if e.Text != last || includingIt {
				frames[i] = append(frames[i], e.String())
			}
			if e.Text == last {
				break
			}
			if e.Kind == "end" {
				return fmt.Errorf("%s closed the connection: %q", c.servers[i], frames[i])
			}
		}
	}
	return nil
}

// compare collects frames until the servers agree, because confirmations of streams, and
// broadcasts, come independently of commands. Frames for one identifier must be the same in the
// same order, or in any order after several commands at once.
func (c *comparison) compare(frames [][]string, opening, anyOrder bool) error {
	var difference error
	stage.Await(func() bool {
		for i, b := range c.browsers {
			for {
				e, ok := b.Poll()
				if !ok {
					break
				}
				if e.Kind == "end" {
					if !slices.Contains(frames[i], e.String()) {
						frames[i] = append(frames[i], e.String())
					}
					break
				}
				frames[i] = append(frames[i], e.String())
			}
		}
		difference = c.difference(frames, anyOrder)
		switch {
		case difference != nil:
		case !opening:
			difference = c.streamsDiffer()
		case len(frames[0]) == 0:
			difference = fmt.Errorf("no welcome")
		}
		return difference == nil
	})
	c.write(frames)
	return difference
}

func (c *comparison) difference(frames [][]string, anyOrder bool) error {
	want := byIdentifier(frames[0], anyOrder)
	for i := range frames[1:] {
		if got := byIdentifier(frames[i+1], anyOrder); !slices.Equal(got, want) {
			return fmt.Errorf("%s and %s differ", c.servers[0], c.servers[i+1])
		}
	}
	return nil
}

// byIdentifier sorts frames by identifier and keeps the order of those with the same identifier.
func byIdentifier(frames []string, anyOrder bool) []string {
	sorted := slices.Clone(frames)
	about := func(frame string) string {
		if anyOrder {
			return frame
		}
		for _, end := range []string{`,"type":`, `,"message":`} {
			if identifier, _, found := strings.Cut(frame, end); found {
				return identifier
			}
		}
		return frame
	}
	sort.SliceStable(sorted, func(i, j int) bool { return about(sorted[i]) < about(sorted[j]) })
	return sorted
}

// streamsDiffer compares which of this conversation's streams each server's Redis has a
// subscription for.
func (c *comparison) streamsDiffer() error {
	var want string
	streams := c.random.streams()
	for i, w := range c.worlds {
		subscribers, err := w.Redis.Client.PubSubNumSub(context.Background(), streams...).Result()
		if err != nil {
			return err
		}
		var open []string
		for _, stream := range streams {
			if subscribers[stream] > 0 {
				open = append(open, stream)
			}
		}
		got := strings.Join(open, " ")
		if i == 0 {
			want = got
		} else if got != want {
			return fmt.Errorf("%s streams %q, and %s %q", c.servers[0], want, c.servers[i], got)
		}
	}
	return nil
}

// write adds frames to the transcript.
func (c *comparison) write(frames [][]string) {
	same := true
	for i := range frames {
		same = same && slices.Equal(frames[i], frames[0])
	}
	for i, frames := range frames {
		if same && i > 0 {
			break
		}
		for _, frame := range frames {
			speaker := "server"
			if !same {
				speaker = c.servers[i]
			}
			fmt.Fprintf(&c.transcript, "%s> %s\n", speaker, frame)
		}
	}
}

// compareEvents compares the callbacks that have run, up to those of the disconnect. An exception
// in unsubscribed keeps later callbacks from running, so there may be no last one to wait for.
func (c *comparison) compareEvents() error {
	user := c.random.user
	began := time.Now()
	for stable := 0; stable < 3; {
		logs := make([][]string, len(c.worlds))
		for i, w := range c.worlds {
			events, err := w.App.Events(user, stage.AllCallbacks)
			if err != nil {
				return err
			}
			logs[i] = events
		}
		differ := func(log []string) bool { return !slices.Equal(log, logs[0]) }
		if slices.Contains(logs[0], "unsubscribed "+fenceChannel) && !slices.ContainsFunc(logs, differ) {
			stable++
		} else {
			stable = 0
		}
		if time.Since(began) > 5*time.Second {
			c.close() // Rails may have missed the close frame, but it notices the end of TCP
		}
		if stable == 0 && time.Since(began) > stage.Patience {
			for i, log := range logs {
				fmt.Fprintf(&c.transcript, "# %s\napp> callbacks of user %s\n  %s\n", c.servers[i], user, strings.Join(log, "\n  "))
			}
			return fmt.Errorf("different callbacks have run")
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil
}
