package broadcast

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/redcon"
)

// said is what would be written now, as "SUBSCRIBE a b".
func said(t *testing.T, s *subscriptions) (commands []string) {
	t.Helper()
	for raw := s.next(nil); len(raw) > 0; {
		n, resp := redcon.ReadNextRESP(raw)
		if n == 0 {
			t.Fatalf("%q is no command", raw)
		}
		var words []string
		resp.ForEach(func(word redcon.RESP) bool { words = append(words, word.String()); return true })
		commands = append(commands, strings.Join(words, " "))
		raw = raw[n:]
	}
	return commands
}

func expectSaid(t *testing.T, s *subscriptions, want ...string) {
	t.Helper()
	if got := said(t, s); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("it says %q, want %q", got, want)
	}
}

func TestSubscriptions_AStreamLeftAndJoinedBeforeTheWriteCostsNothing(t *testing.T) {
	s := newSubscriptions(nil)
	s.want("a", func() {})
	expectSaid(t, s, "SUBSCRIBE a")
	s.reply([]byte("a"))
	s.unwant("a")
	acknowledged := false
	s.want("a", func() { acknowledged = true })
	if !acknowledged {
		t.Fatal("the stream never stopped, but is not acknowledged")
	}
	expectSaid(t, s)
}

func TestSubscriptions_AcknowledgeOnlyWhenAllThatWasSaidIsAnswered(t *testing.T) {
	s := newSubscriptions(nil)
	acknowledged := 0
	s.want("a", func() { t.Error("a waiter that left was called") })
	expectSaid(t, s, "SUBSCRIBE a")
	s.unwant("a")
	expectSaid(t, s, "UNSUBSCRIBE a")
	s.want("a", func() { acknowledged++ })
	s.want("a", func() { acknowledged++ })
	expectSaid(t, s, "SUBSCRIBE a")
	for i := range 3 {
		if acknowledged != 0 {
			t.Fatalf("acknowledged after %d answers of 3", i)
		}
		s.reply([]byte("a"))
	}
	if acknowledged != 2 {
		t.Fatalf("%d of 2 waiters were called", acknowledged)
	}
}

func TestSubscriptions_KeepNothingOfAStreamThatWasLeft(t *testing.T) {
	s := newSubscriptions(nil)
	s.want("never sent", func() {})
	s.unwant("never sent")
	s.want("a", func() {})
	expectSaid(t, s, "SUBSCRIBE a")
	s.unwant("a")
	s.reply([]byte("a"))
	expectSaid(t, s, "UNSUBSCRIBE a")
	s.reply([]byte("a"))
	if s.size() != 0 {
		t.Fatalf("%d streams are kept", s.size())
	}
}

func TestSubscriptions_BoundACommandAndWhatIsUnanswered(t *testing.T) {
	s := newSubscriptions(nil)
	for i := range 10_000 {
		s.want(fmt.Sprint(i), func() {})
	}
	commands := said(t, s)
	if len(commands) != maxAwaited/namesPerCommand {
		t.Fatalf("%d commands at once", len(commands))
	}
	for _, command := range commands {
		if n := len(strings.Fields(command)) - 1; n != namesPerCommand {
			t.Fatalf("a command of %d names", n)
		}
	}
	expectSaid(t, s)
	s.reply([]byte("0"))
	expectSaid(t, s, "SUBSCRIBE 8192")
}

func TestSubscriptions_RefusedTogetherAreAskedForOneByOne(t *testing.T) {
	s := newSubscriptions(ptr("app"))
	acknowledged := ""
	for _, stream := range []string{"a", "b", "c"} {
		s.want(stream, func() { acknowledged += stream })
	}
	expectSaid(t, s, "SUBSCRIBE app:a app:b app:c")
	if _, refused := s.refuse(); refused {
		t.Fatal("one of three is named as refused")
	}
	s.unwant("c")
	expectSaid(t, s, "SUBSCRIBE app:a", "SUBSCRIBE app:b")
	if stream, refused := s.refuse(); !refused || stream != "a" {
		t.Fatalf("refused is %q", stream)
	}
	s.reply([]byte("app:b"))
	if acknowledged != "b" {
		t.Fatalf("acknowledged are %q", acknowledged)
	}
	s.want("a", func() {})
	expectSaid(t, s)
	s.reset()
	if got := strings.Fields(said(t, s)[0]); len(got) != 3 {
		t.Fatalf("the next connection asks %q", got)
	}
}

func TestSubscriptions_AStreamIsNotLiveAcrossALoss(t *testing.T) {
	s := newSubscriptions(nil)
	s.want("a", func() {})
	expectSaid(t, s, "SUBSCRIBE a")
	s.reply([]byte("a"))
	s.reset()
	s.want("a", func() { t.Error("acknowledged without a connection") })
	expectSaid(t, s, "SUBSCRIBE a")
}

func TestSubscriptions_DoNotTakeAnAnswerForAnother(t *testing.T) {
	s := newSubscriptions(nil)
	if s.reply([]byte("a")) {
		t.Fatal("an answer was taken that nothing awaits")
	}
	s.want("a", func() { t.Error("acknowledged by another's answer") })
	expectSaid(t, s, "SUBSCRIBE a")
	if s.reply([]byte("b")) {
		t.Fatal("b's answer was taken for a's")
	}
}

// size is how many streams are wanted or not yet let go.
func (s *subscriptions) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.topics)
}
