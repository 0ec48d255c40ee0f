package broadcast

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/redcon"
)

// pendingCommands returns what would be written now, as "SUBSCRIBE a b".
func pendingCommands(t *testing.T, s *subscriptions) (commands []string) {
	t.Helper()
	for raw := s.commands(); len(raw) > 0; {
		n, resp := redcon.ReadNextRESP(raw)
		if n == 0 {
			t.Fatalf("%q is not a command", raw)
		}
		var words []string
		resp.ForEach(func(word redcon.RESP) bool { words = append(words, word.String()); return true })
		commands = append(commands, strings.Join(words, " "))
		raw = raw[n:]
	}
	return commands
}

func expectCommands(t *testing.T, s *subscriptions, want ...string) {
	t.Helper()
	if got := pendingCommands(t, s); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("commands are %q, want %q", got, want)
	}
}

func TestSubscriptions_AStreamLeftAndJoinedBeforeTheWriteCostsNothing(t *testing.T) {
	s := newSubscriptions(nil)
	s.subscribe("a", func() {})
	expectCommands(t, s, "SUBSCRIBE a")
	s.answered([]byte("a"))
	s.unsubscribe("a")
	acknowledged := false
	s.subscribe("a", func() { acknowledged = true })
	if !acknowledged {
		t.Fatal("the stream is live but was not acknowledged")
	}
	expectCommands(t, s)
}

func TestSubscriptions_AcknowledgeWhenEveryCommandIsAnswered(t *testing.T) {
	s := newSubscriptions(nil)
	acknowledged := 0
	s.subscribe("a", func() { t.Error("acknowledged after unsubscribe") })
	expectCommands(t, s, "SUBSCRIBE a")
	s.unsubscribe("a")
	expectCommands(t, s, "UNSUBSCRIBE a")
	s.subscribe("a", func() { acknowledged++ })
	s.subscribe("a", func() { acknowledged++ })
	expectCommands(t, s, "SUBSCRIBE a")
	for i := range 3 {
		if acknowledged != 0 {
			t.Fatalf("acknowledged after %d answers of 3", i)
		}
		s.answered([]byte("a"))
	}
	if acknowledged != 2 {
		t.Fatalf("%d of 2 waiters were called", acknowledged)
	}
}

func TestSubscriptions_ForgetAStreamThatWasLeft(t *testing.T) {
	s := newSubscriptions(nil)
	s.subscribe("never sent", func() {})
	s.unsubscribe("never sent")
	s.subscribe("a", func() {})
	expectCommands(t, s, "SUBSCRIBE a")
	s.unsubscribe("a")
	s.answered([]byte("a"))
	expectCommands(t, s, "UNSUBSCRIBE a")
	s.answered([]byte("a"))
	if s.size() != 0 {
		t.Fatalf("%d streams are still stored", s.size())
	}
}

func TestSubscriptions_LimitNamesPerCommandAndUnansweredNames(t *testing.T) {
	s := newSubscriptions(nil)
	for i := range 10_000 {
		s.subscribe(fmt.Sprint(i), func() {})
	}
	commands := pendingCommands(t, s)
	if len(commands) != maxUnanswered/namesPerCommand {
		t.Fatalf("%d commands at once", len(commands))
	}
	for _, command := range commands {
		if n := len(strings.Fields(command)) - 1; n != namesPerCommand {
			t.Fatalf("a command of %d names", n)
		}
	}
	expectCommands(t, s)
	s.answered([]byte("0"))
	expectCommands(t, s, "SUBSCRIBE 8192")
}

func TestSubscriptions_ADeniedCommandIsRetriedNameByName(t *testing.T) {
	s := newSubscriptions(ptr("app"))
	acknowledged := ""
	for _, stream := range []string{"a", "b", "c"} {
		s.subscribe(stream, func() { acknowledged += stream })
	}
	expectCommands(t, s, "SUBSCRIBE app:a app:b app:c")
	if _, denied := s.denied(); denied {
		t.Fatal("one of three streams is reported as denied")
	}
	s.unsubscribe("c")
	expectCommands(t, s, "SUBSCRIBE app:a", "SUBSCRIBE app:b")
	if stream, denied := s.denied(); !denied || stream != "a" {
		t.Fatalf("%q was denied, want a", stream)
	}
	s.answered([]byte("app:b"))
	if acknowledged != "b" {
		t.Fatalf("acknowledged %q, want b", acknowledged)
	}
	s.subscribe("a", func() {})
	expectCommands(t, s)
	s.reset()
	if got := strings.Fields(pendingCommands(t, s)[0]); len(got) != 3 {
		t.Fatalf("the next connection sends %q", got)
	}
}

func TestSubscriptions_AStreamIsNotLiveAfterALoss(t *testing.T) {
	s := newSubscriptions(nil)
	s.subscribe("a", func() {})
	expectCommands(t, s, "SUBSCRIBE a")
	s.answered([]byte("a"))
	s.reset()
	s.subscribe("a", func() { t.Error("acknowledged without a connection") })
	expectCommands(t, s, "SUBSCRIBE a")
}

func TestSubscriptions_RejectUnexpectedAnswers(t *testing.T) {
	s := newSubscriptions(nil)
	if s.answered([]byte("a")) {
		t.Fatal("accepted an answer without a command")
	}
	s.subscribe("a", func() { t.Error("acknowledged by the answer for another stream") })
	expectCommands(t, s, "SUBSCRIBE a")
	if s.answered([]byte("b")) {
		t.Fatal("accepted the answer for b in place of a")
	}
}

// size counts the streams that are wanted or not yet unsubscribed.
func (s *subscriptions) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.topics)
}
