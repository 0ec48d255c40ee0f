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
	dead.waitForRecords(s, 120)
	dead.disconnect("dead:007") // Rails has run its callbacks
	dead.waitForRecords(s, 119)
	for _, survivor := range survivors {
		survivor.open(survivor.name + ":1")
		survivor.waitForRecords(s, 1)
	}
	dead.cutOff(true)
	dead.stop()

	eventually(t, "all are closed and the dead node is removed", func() bool {
		sum := 0
		for _, survivor := range survivors {
			most, connections := survivor.closedSoFar()
			if sum += connections; most > 1 {
				t.Fatalf("%s closed a connection %d times", survivor.name, most)
			}
		}
		return sum == 119 && !slices.Contains(s.client.SMembers(context.Background(), "_catenary:nodes").Val(), "dead")
	})
	eventually(t, "each survivor knows the other three", func() bool {
		for _, survivor := range survivors {
			if others := survivor.Stats().Others; len(others) != 3 || slices.Contains(others, "dead") {
				return false
			}
		}
		return true
	})
	for _, survivor := range survivors {
		if _, connections := survivor.closedSoFar(); connections != 0 && connections != 119 {
			t.Errorf("%s closed %d of them, want none or all", survivor.name, connections)
		}
		if survivor.takenOver() != nil {
			t.Errorf("%s was taken over", survivor.name)
		}
		survivor.disconnect(survivor.name + ":1")
		survivor.stop()
	}
	if keys := s.keys(); !slices.Equal(keys, []string{"_catenary:{dead}:taken"}) {
		t.Errorf("keys left in Redis: %q", keys)
	}
}

func TestLease_ANodeThatReturnsLearnsThatItWasTakenOver(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	a, b := s.node(t, "a"), s.node(t, "b")
	a.open(numbered("a", 10)...)
	a.waitForRecords(s, 10)
	a.cutOff(true)
	a.open("a:late") // has no record in Redis
	eventually(t, "b closed all", func() bool { _, n := b.closedSoFar(); return n == 10 })
	eventually(t, "a's lease has expired", func() bool { return !a.valid() })
	waited := make(chan struct{})
	go func() {
		a.WaitValid(context.Background(), patience)
		close(waited)
	}()
	select {
	case <-waited:
		t.Error("WaitValid returned before a could reach Redis")
	case <-time.After(100 * time.Millisecond):
	}
	a.WaitValidOrDown(context.Background(), patience) // returns at once: Redis is down

	a.cutOff(false)
	<-waited
	eventually(t, "a learns that it was taken over", func() bool { return a.takenOver() != nil })
	if taken := a.takenOver(); !slices.Equal(taken, numbered("a", 10)) {
		t.Errorf("the takeover closed %q", taken)
	}
	eventually(t, "the new connection has a record under the new name", func() bool {
		return s.client.HExists(context.Background(), "_catenary:{a.1}:connections", "a:late").Val()
	})
	if most, _ := b.closedSoFar(); most != 1 {
		t.Errorf("a connection was closed %d times", most)
	}
	a.disconnect("a:late")
	a.stop()
	b.stop()
	if keys := s.keys(); len(keys) != 0 {
		t.Errorf("keys left in Redis: %q", keys)
	}
}

func TestLease_ANodeThatDiesInATakeoverIsTakenOver(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	a, b := s.node(t, "a"), s.node(t, "b")
	b.closeErr = errors.New("Rails is down")
	a.open(numbered("a", 70)...)
	a.waitForRecords(s, 70)
	a.cutOff(true)
	a.stop()
	eventually(t, "b has tried", func() bool { return b.log.count("retrying") > 0 })
	c := s.node(t, "c")
	c.open("c:1")
	c.waitForRecords(s, 1)
	time.Sleep(2 * ttl) // b keeps its claim while it lives
	if _, n := c.closedSoFar(); n != 0 {
		t.Fatal("c took over from b, which is alive")
	}
	b.cutOff(true)
	b.stop()
	eventually(t, "c closed all", func() bool { _, n := c.closedSoFar(); return n == 70 })
	if n := b.log.count("retrying"); n != 1 {
		t.Errorf("b logged its retries %d times", n)
	}
}

func TestLease_AnOutageOfRedisCausesNoTakeover(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	a, b := s.node(t, "a"), s.node(t, "b")
	a.open(numbered("a", 300)...)
	a.waitForRecords(s, 300)
	b.open("b:1")
	b.waitForRecords(s, 1)
	s.down()
	eventually(t, "both notice", func() bool { return !a.Stats().Held && !b.Stats().Held })
	a.disconnect("a:001")
	a.open("a:later")
	time.Sleep(2 * ttl)
	s.up() // empty
	a.waitForRecords(s, 300)
	b.waitForRecords(s, 1)
	time.Sleep(2 * ttl)
	for _, n := range []*node{a, b} {
		if _, closed := n.closedSoFar(); closed > 0 || n.takenOver() != nil {
			t.Errorf("%s closed %d connections, and Taken was called with %v", n.name, closed, n.takenOver())
		}
		if times := n.log.count("failed to renew"); times != 1 {
			t.Errorf("%s logged the outage %d times:\n%s", n.name, times, &n.log)
		}
	}
}

func TestLease_AStopLeavesOnlyConnectionsThatRailsHasNotClosed(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	prefix := "app"
	prefixed := func(o *Options) { o.Prefix = &prefix }
	a, b := s.node(t, "a", prefixed), s.node(t, "b", prefixed)
	a.open("a:1", "a:2")
	a.waitForRecords(s, 2)
	for _, key := range s.keys() {
		if !strings.HasPrefix(key, "app:_catenary:") {
			t.Errorf("the key %s has no prefix", key)
		}
	}
	a.disconnect("a:1")
	a.stop()
	eventually(t, "b closes the other connection", func() bool { most, n := b.closedSoFar(); return most == 1 && n == 1 })
	b.stop()
	if keys := s.keys(); !slices.Equal(keys, []string{"app:_catenary:{a}:taken"}) {
		t.Errorf("keys left in Redis: %q", keys)
	}
}

func TestLease_RecordsAreSealed(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	a, b := s.node(t, "a"), s.node(t, "b", func(o *Options) { o.Secret = "another secret" })
	a.open("a:1")
	a.waitForRecords(s, 1)
	sealed := s.client.HGet(context.Background(), "_catenary:{a}:connections", "a:1").Val()
	if strings.Contains(sealed, "cookie") || len(sealed) < len("cookie of a:1")+12+16 {
		t.Errorf("the record is %q", sealed)
	}
	mine := newSealer(secret, "a")
	if text, err := mine.open("a:1", []byte(sealed)); err != nil || string(text) != "cookie of a:1" {
		t.Errorf("%q %v", text, err)
	}
	if _, err := mine.open("a:2", []byte(sealed)); err == nil {
		t.Error("a record can be opened for another connection")
	}
	if _, err := newSealer(secret, "b").open("a:1", []byte(sealed)); err == nil {
		t.Error("a record can be opened with another node's key")
	}
	a.cutOff(true)
	a.stop()
	eventually(t, "b logs that the secret differs", func() bool { return b.log.count("sealed with another secret") == 1 })
	if strings.Contains(b.log.String(), "cookie") {
		t.Error("the log shows the content of a record")
	}
}

func TestLease_ADeniedLeaseIsLoggedOnce(t *testing.T) {
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
			o.Redis = s.clientOf(user)
		})
		n.open(numbered(user, 3)...)
		eventually(t, fmt.Sprintf("%s: the denial is logged", name), func() bool { return n.log.count("does not allow this node") == 1 && !n.Stats().Held })
		n.open(numbered(user, 3)...)
		n.WaitValid(context.Background(), patience)
		n.stop()
		if lines := strings.Count(n.log.String(), "\n"); lines != 1 {
			t.Errorf("%s: %d lines logged, want 1:\n%s", name, lines, &n.log)
		}
	}
}

func TestLease_ANilLeaseDoesNothing(t *testing.T) {
	var none *Lease
	none.Changed("a:1")
	none.WaitValidOrDown(context.Background(), patience)
	none.WaitValid(context.Background(), patience)
	if !reflect.DeepEqual(none.Stats(), Stats{}) || none.Run(context.Background(), nil) != nil {
		t.Error("a nil lease does something")
	}
}
