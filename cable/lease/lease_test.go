package lease

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestLease_SurvivorsRaceForAKilledNodeAndOneClosesItsConnectionsOnce(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	dead := s.node(t, "dead")
	survivors := []*node{s.node(t, "b"), s.node(t, "c"), s.node(t, "d"), s.node(t, "e")}
	dead.open(numbered("dead", 120)...)
	dead.wrote(s, 120)
	dead.end("dead:007") // its own callbacks have run
	dead.wrote(s, 119)
	for _, survivor := range survivors {
		survivor.open(survivor.name + ":1")
		survivor.wrote(s, 1)
	}
	dead.isCut(true)
	dead.stop()

	eventually(t, "all have been closed, and no record is left", func() bool {
		sum := 0
		for _, survivor := range survivors {
			most, connections := survivor.closedSoFar()
			if sum += connections; most > 1 {
				t.Fatalf("%s has closed a connection %d times", survivor.name, most)
			}
		}
		return sum == 119 && !slices.Contains(s.client.SMembers(context.Background(), "_catenary:nodes").Val(), "dead")
	})
	eventually(t, "each knows of the other three", func() bool {
		for _, survivor := range survivors {
			if others := survivor.Stats().Others; len(others) != 3 || slices.Contains(others, "dead") {
				return false
			}
		}
		return true
	})
	for _, survivor := range survivors {
		if _, connections := survivor.closedSoFar(); connections != 0 && connections != 119 {
			t.Errorf("%s has closed %d of them", survivor.name, connections)
		}
		if survivor.wasTaken() != nil {
			t.Errorf("%s was taken over", survivor.name)
		}
		survivor.end(survivor.name + ":1")
		survivor.stop()
	}
	if keys := s.keys(); !slices.Equal(keys, []string{"_catenary:{dead}:taken"}) {
		t.Errorf("these are left: %q", keys)
	}
}

func TestLease_ANodeThatComesBackLearnsThatItWasTakenOver(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	a, b := s.node(t, "a"), s.node(t, "b")
	a.open(numbered("a", 10)...)
	a.wrote(s, 10)
	a.isCut(true)
	a.open("a:late") // nobody else can know of it
	eventually(t, "b has closed all", func() bool { _, n := b.closedSoFar(); return n == 10 })
	eventually(t, "a cannot be sure", func() bool { return !a.sure() })
	certain := make(chan struct{})
	go func() {
		a.Certain(context.Background(), patient)
		close(certain)
	}()
	select {
	case <-certain:
		t.Error("a believes that it is still the one")
	case <-time.After(100 * time.Millisecond):
	}
	a.Awake(context.Background(), patient) // Redis is away, so commands go on

	a.isCut(false)
	<-certain
	eventually(t, "a is told", func() bool { return a.wasTaken() != nil })
	if taken := a.wasTaken(); !slices.Equal(taken, numbered("a", 10)) {
		t.Errorf("a is told of %q", taken)
	}
	eventually(t, "what is new is kept under another name", func() bool {
		return s.client.HExists(context.Background(), "_catenary:{a.1}:connections", "a:late").Val()
	})
	if most, _ := b.closedSoFar(); most != 1 {
		t.Errorf("one was closed %d times", most)
	}
	a.end("a:late")
	a.stop()
	b.stop()
	if keys := s.keys(); len(keys) != 0 {
		t.Errorf("these are left: %q", keys)
	}
}

func TestLease_WhoeverDiesWhileTakingOverIsTakenOverFrom(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	a, b := s.node(t, "a"), s.node(t, "b")
	b.fails = errors.New("Rails is away")
	a.open(numbered("a", 70)...)
	a.wrote(s, 70)
	a.isCut(true)
	a.stop()
	eventually(t, "b tries", func() bool { return b.log.times("have to wait") > 0 })
	c := s.node(t, "c")
	c.open("c:1")
	c.wrote(s, 1)
	time.Sleep(2 * ttl) // b keeps what it has claimed for as long as it lives
	if _, n := c.closedSoFar(); n != 0 {
		t.Fatal("c has taken it from b")
	}
	b.isCut(true)
	b.stop()
	eventually(t, "c has closed all", func() bool { _, n := c.closedSoFar(); return n == 70 })
	if n := b.log.times("have to wait"); n != 1 {
		t.Errorf("b has told the log %d times", n)
	}
}

func TestLease_OutagesOfRedisTakeNobodyOver(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	a, b := s.node(t, "a"), s.node(t, "b")
	a.open(numbered("a", 300)...)
	a.wrote(s, 300)
	b.open("b:1")
	b.wrote(s, 1)
	s.down()
	eventually(t, "both notice", func() bool { return !a.Stats().Held && !b.Stats().Held })
	a.end("a:001")
	a.open("a:later")
	time.Sleep(2 * ttl)
	s.up() // empty
	a.wrote(s, 300)
	b.wrote(s, 1)
	time.Sleep(2 * ttl)
	for _, n := range []*node{a, b} {
		if _, closed := n.closedSoFar(); closed > 0 || n.wasTaken() != nil {
			t.Errorf("%s has closed %d, and was told of %v", n.name, closed, n.wasTaken())
		}
		if times := n.log.times("cannot be renewed"); times != 1 {
			t.Errorf("%s tells the log %d times:\n%s", n.name, times, &n.log)
		}
	}
}

func TestLease_AStopLeavesOnlyWhatRailsHasNotBeenTold(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	prefix := "app"
	prefixed := func(o *Options) { o.Prefix = &prefix }
	a, b := s.node(t, "a", prefixed), s.node(t, "b", prefixed)
	a.open("a:1", "a:2")
	a.wrote(s, 2)
	for _, key := range s.keys() {
		if !strings.HasPrefix(key, "app:_catenary:") {
			t.Errorf("the key %s has no prefix", key)
		}
	}
	a.end("a:1")
	a.stop()
	eventually(t, "b closes the other", func() bool { most, n := b.closedSoFar(); return most == 1 && n == 1 })
	b.stop()
	if keys := s.keys(); !slices.Equal(keys, []string{"app:_catenary:{a}:taken"}) {
		t.Errorf("these are left: %q", keys)
	}
}

func TestLease_RecordsAreSealed(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	a, b := s.node(t, "a"), s.node(t, "b", func(o *Options) { o.Secret = "another secret" })
	a.open("a:1")
	a.wrote(s, 1)
	sealed := s.client.HGet(context.Background(), "_catenary:{a}:connections", "a:1").Val()
	if strings.Contains(sealed, "cookie") || len(sealed) < len("cookie of a:1")+12+16 {
		t.Errorf("the record is %q", sealed)
	}
	mine := newSealer(secret, "a")
	if text, err := mine.open("a:1", []byte(sealed)); err != nil || string(text) != "cookie of a:1" {
		t.Errorf("%q %v", text, err)
	}
	if _, err := mine.open("a:2", []byte(sealed)); err == nil {
		t.Error("it may stand for another connection")
	}
	if _, err := newSealer(secret, "b").open("a:1", []byte(sealed)); err == nil {
		t.Error("it may stand for another node's")
	}
	a.isCut(true)
	a.stop()
	eventually(t, "b says that it has another secret", func() bool { return b.log.times("sealed with another secret") == 1 })
	if strings.Contains(b.log.String(), "cookie") {
		t.Error("the log tells what is in the record")
	}
}

func TestLease_ARedisThatDoesNotLetUsIsToldOnce(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	for name, rules := range map[string][]any{
		"scripts": {"+@all", "-@scripting", "~*"}, "keys": {"+@all", "~app:*"}, "commands in scripts": {"+@all", "-hset", "-pexpire", "-set", "~*"}, "commands": {"+@all", "-smembers", "~*"},
	} {
		user := strings.ReplaceAll(name, " ", "")
		if err := s.client.Do(context.Background(), append([]any{"ACL", "SETUSER", user, "on", "nopass"}, rules...)...).Err(); err != nil {
			t.Fatal(err)
		}
		n := s.node(t, user, func(o *Options) {
			o.Redis.(interface{ Close() error }).Close()
			o.Redis = s.as(user)
		})
		n.open(numbered(user, 3)...)
		eventually(t, fmt.Sprintf("the log is told about %s", name), func() bool { return n.log.times("does not let this node") == 1 && !n.Stats().Held })
		n.open(numbered(user, 3)...)
		n.Certain(context.Background(), patient)
		n.stop()
		if lines := strings.Count(n.log.String(), "\n"); lines != 1 {
			t.Errorf("%s: the log is told more:\n%s", name, &n.log)
		}
	}
}

func TestLease_NoneDoesNothing(t *testing.T) {
	var none *Lease
	none.Changed("a:1")
	none.Awake(context.Background(), patient)
	none.Certain(context.Background(), patient)
	if !reflect.DeepEqual(none.Stats(), Stats{}) || none.Run(context.Background(), nil) != nil {
		t.Error("a lease that is none does something")
	}
}
