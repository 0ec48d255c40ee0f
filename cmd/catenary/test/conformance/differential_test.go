package conformance

import (
	"flag"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

var (
	differentialSeeds = flag.Int("seeds", 60, "how many random conversations TestDifferential holds")
	differentialFirst = flag.Uint64("seed", 1, "the first of their seeds")
)

// TestDifferential holds random conversations with Rails' own Action Cable and with catenary, and compares what
// they say, which callbacks have run, and which streams are open in Redis after every command. "rebuilt" is catenary with an
// application that keeps no objects. Rails runs one command at a time here: the orders that it otherwise leaves open are
// not looked at. -seeds 500 holds more, -seed 7 -seeds 1 only that one.
func TestDifferential(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	servers := []string{"rails", "catenary", "rebuilt"}
	var participants []*stage.World
	t.Setenv("LAB_WORKERS", "1")
	for _, server := range servers {
		w, err := stage.StartWorld(server, "")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(w.Close)
		participants = append(participants, w)
	}
	var equal, commands atomic.Int64
	t.Run("seeds", func(t *testing.T) {
		atOnce := make(chan struct{}, 12)
		for i := range uint64(*differentialSeeds) {
			seed := *differentialFirst + i
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				atOnce <- struct{}{}
				defer func() { <-atOnce }()
				c := comparison{servers: servers, worlds: participants, random: newRandomConversation(seed)}
				defer c.close()
				if err := c.run(); err != nil {
					t.Fatalf("seed %d: %v\n\n%s", seed, err, c.transcript.String())
				}
				equal.Add(1)
				commands.Add(int64(c.commands))
			})
		}
	})
	fmt.Printf("Rails %s\ndifferential: %d of %d random conversations equal, seeds %d to %d, %d steps each way, live and rebuilt\n", stage.RailsVersion(),
		equal.Load(), *differentialSeeds, *differentialFirst, *differentialFirst+uint64(*differentialSeeds)-1, commands.Load())
}

// A comparison holds one conversation with every server at once; the first is the reference.
type comparison struct {
	servers    []string
	worlds     []*stage.World
	browsers   []*stage.Browser
	random     *randomConversation
	transcript strings.Builder // in the format of testdata/transcripts
	commands   int
}

func (c *comparison) run() error {
	path := c.random.handshake()
	fmt.Fprintf(&c.transcript, "# Random conversation %d.\n\nbrowser> GET %s\n", c.random.seed, path)
	for _, w := range c.worlds {
		b, err := stage.Dial(w.Address, stage.Handshake("GET", path, w.Address, nil))
		if err != nil {
			return err
		}
		c.browsers = append(c.browsers, b)
	}
	if err := c.compare("", false); err != nil {
		return err
	}
	if err := c.take(stage.Step{Speaker: "browser", Text: c.random.subscribeFence()}); err != nil {
		return err
	}
	for _, s := range c.random.steps() {
		c.commands++
		if err := c.take(s); err != nil {
			return err
		}
	}
	fmt.Fprintln(&c.transcript, "browser> (close 1000)")
	for _, b := range c.browsers {
		b.Write(stage.OpClose, stage.ClosePayload(1000, ""))
	}
	return c.compareEvents()
}

func (c *comparison) close() {
	for _, b := range c.browsers {
		b.Close()
	}
}

// take takes a step with every server, waits until each has done it, and compares what they said.
func (c *comparison) take(s stage.Step) error {
	if len(s.More) > 0 {
		fmt.Fprintf(&c.transcript, "browser> (batch)\n  %s\n", strings.Join(s.More, "\n  "))
	} else {
		fmt.Fprintf(&c.transcript, "%s> %s\n", s.Speaker, s.Text)
	}
	for i, b := range c.browsers {
		var err error
		switch {
		case s.Speaker == "redis":
			err = c.worlds[i].Redis.Do(s.Text)
		case len(s.More) > 0:
			for _, text := range s.More {
				err = b.Send(text)
			}
		default:
			err = b.Send(s.Text)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.servers[i], err)
		}
	}
	if s.After > 0 {
		time.Sleep(s.After)
	}
	fence, answer := c.random.fence()
	for _, b := range c.browsers {
		b.Send(fence)
	}
	return c.compare(answer, len(s.More) > 0)
}

// compare collects what every server says up to the answer to the fence, and for a while longer as long as they do not
// agree: the confirmation of streams and broadcasts are on their way beside the commands. Then it compares: frames
// about one identifier must be the same in the same order, or in any order after several commands at once.
func (c *comparison) compare(fence string, anyOrder bool) error {
	said := make([][]string, len(c.browsers))
	for i, b := range c.browsers {
		for fence != "" {
			e, ok := stage.NextFrame(b, stage.Patience)
			if !ok {
				return fmt.Errorf("%s has not run what was sent within %v; it said %q", c.servers[i], stage.Patience, said[i])
			}
			if e.Kind == "text" && e.Text == fence {
				break
			}
			said[i] = append(said[i], e.String())
			if e.Kind == "end" {
				return fmt.Errorf("%s ended the connection: %q", c.servers[i], said[i])
			}
		}
	}
	deadline := time.Now().Add(3 * time.Second)
	for {
		for i, b := range c.browsers {
			for {
				e, ok := stage.NextFrame(b, time.Millisecond)
				if !ok {
					break
				}
				said[i] = append(said[i], e.String())
				if e.Kind == "end" {
					break
				}
			}
		}
		difference := c.difference(said, anyOrder)
		if difference == nil && fence != "" {
			difference = c.streamsDiffer()
		}
		if difference == nil && fence == "" && len(said[0]) == 0 {
			difference = fmt.Errorf("there is no welcome")
		}
		if difference == nil || time.Now().After(deadline) {
			c.write(said)
			return difference
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (c *comparison) difference(said [][]string, anyOrder bool) error {
	want := byIdentifier(said[0], anyOrder)
	for i := range said[1:] {
		if got := byIdentifier(said[i+1], anyOrder); !slices.Equal(got, want) {
			return fmt.Errorf("%s and %s differ", c.servers[0], c.servers[i+1])
		}
	}
	return nil
}

// byIdentifier sorts frames by what they are about, and keeps the order among those about the same.
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

// streamsDiffer compares which streams of this conversation are subscribed to in each server's Redis.
func (c *comparison) streamsDiffer() error {
	var want string
	for i, w := range c.worlds {
		var open []string
		for _, stream := range c.random.streams() {
			n, err := w.Redis.Run([]any{"PUBSUB", "NUMSUB", stream})
			if err != nil {
				return err
			}
			if n != "0" {
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

// write adds what was said to the transcript.
func (c *comparison) write(said [][]string) {
	same := true
	for i := range said {
		same = same && slices.Equal(said[i], said[0])
	}
	for i, frames := range said {
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

// compareEvents compares the callbacks that have run, up to those of the end. An exception in unsubscribed keeps those after it
// from running, so that there may be no last one to wait for.
func (c *comparison) compareEvents() error {
	user := c.random.user
	deadline := time.Now().Add(2 * stage.Patience)
	for stable := 0; stable < 3; {
		var logs [3][]string
		for i, w := range c.worlds {
			events, err := w.App.Events(user, true)
			if err != nil {
				return err
			}
			logs[i] = events
		}
		if slices.Contains(logs[0], "unsubscribed "+fenceChannel) && slices.Equal(logs[0], logs[1]) && slices.Equal(logs[0], logs[2]) {
			stable++
		} else {
			stable = 0
		}
		if time.Until(deadline) < stage.Patience {
			c.close() // Rails may have missed the close frame; the end of TCP it does not miss
		}
		if stable == 0 && time.Now().After(deadline) {
			for i, log := range logs {
				fmt.Fprintf(&c.transcript, "# %s\napp> callbacks of user %s\n  %s\n", c.servers[i], user, strings.Join(log, "\n  "))
			}
			return fmt.Errorf("other callbacks have run")
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil
}
