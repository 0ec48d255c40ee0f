package broadcast

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

func TestRedis_BehavesAsEverySource(t *testing.T) {
	for _, behaviour := range behaviours {
		t.Run(behaviour.name, func(t *testing.T) {
			behaviour.test(t, func(t *testing.T, prefix *string) (source, string) {
				server := startRedis(t)
				s, err := NewRedis(RedisOptions{URL: server.url(), ChannelPrefix: prefix}, quiet())
				if err != nil {
					t.Fatal(err)
				}
				return s, server.address()
			})
		})
	}
}

// starter starts a source and returns the address where Rails would publish to it.
type starter func(t *testing.T, prefix *string) (s source, address string)

// behaviours are shared by all sources, as Rails' adapters share
// actioncable/test/subscription_adapter/common.rb.
var behaviours = []struct {
	name string
	test func(*testing.T, starter)
}{
	{"DeliversWhatIsPublishedAfterTheAcknowledgement", func(t *testing.T, start starter) {
		s, address := start(t, nil)
		h, rails := receive(t, s), client(t, address)
		h.subscribe("chat:1")
		publish(t, rails, "chat:1", `{"a":1}`)
		h.expect("chat:1", `{"a":1}`)
		h.expectReady()
	}},
	{"AcknowledgesStreamsAskedForBeforeRun", func(t *testing.T, start starter) {
		s, address := start(t, nil)
		early := make(chan struct{})
		s.Subscribe("early", func() { close(early) })
		h, rails := receive(t, s), client(t, address)
		within(t, "the acknowledgement", early)
		publish(t, rails, "early", "1")
		h.expect("early", "1")
	}},
	{"DeliversInOrder", func(t *testing.T, start starter) {
		s, address := start(t, nil)
		h, rails := receive(t, s), client(t, address)
		h.subscribe("a", "b")
		pipe := rails.Pipeline()
		for i := range 1000 {
			pipe.Publish(context.Background(), []string{"a", "b"}[i%2], i)
		}
		if _, err := pipe.Exec(context.Background()); err != nil {
			t.Fatal(err)
		}
		for i := range 1000 {
			h.expect([]string{"a", "b"}[i%2], fmt.Sprint(i))
		}
	}},
	{"PrefixIsTriState", func(t *testing.T, start starter) {
		for want, prefix := range map[string]*string{"s": nil, ":s": ptr(""), "app_production:s": ptr("app_production")} {
			s, address := start(t, prefix)
			h, rails := receive(t, s), client(t, address)
			h.subscribe("s")
			for _, topic := range []string{"s", ":s", "app_production:s", "other:s"} {
				publish(t, rails, topic, topic)
			}
			h.expect("s", want)
			if err := s.Publish(context.Background(), "s", []byte("ours")); err != nil {
				t.Fatal(err)
			}
			h.expect("s", "ours")
		}
	}},
	{"DeliversNothingAfterUnsubscribe", func(t *testing.T, start starter) {
		s, address := start(t, nil)
		h, rails := receive(t, s), client(t, address)
		h.subscribe("left", "kept")
		s.Unsubscribe("left")
		s.Unsubscribe("never known")
		publish(t, rails, "left", "1")
		publish(t, rails, "kept", "2")
		h.expect("kept", "2")
		eventually(t, "the topic is unsubscribed", func() bool {
			n, err := rails.PubSubNumSub(context.Background(), "left").Result()
			return err == nil && n["left"] == 0
		})
	}},
	{"AcknowledgesEveryWaiterOfOneStream", func(t *testing.T, start starter) {
		s, address := start(t, nil)
		h, rails := receive(t, s), client(t, address)
		h.subscribe("s", "s", "s")
		h.subscribe("s")
		publish(t, rails, "s", "once")
		publish(t, rails, "s", "twice")
		h.expect("s", "once")
		h.expect("s", "twice")
	}},
	{"DeliversAStreamLeftAndJoinedQuickly", func(t *testing.T, start starter) {
		s, address := start(t, nil)
		h, rails := receive(t, s), client(t, address)
		for i := range 300 {
			h.source.Subscribe("flapping", func() {})
			if i%3 == 0 {
				h.subscribe("flapping")
			}
			s.Unsubscribe("flapping")
			h.subscribe("flapping")
			publish(t, rails, "flapping", fmt.Sprint(i))
			h.expect("flapping", fmt.Sprint(i))
			s.Unsubscribe("flapping")
		}
	}},
	{"CarriesBytesAndLargePayloadsUnchanged", func(t *testing.T, start starter) {
		s, address := start(t, nil)
		h, rails := receive(t, s), client(t, address)
		h.subscribe("s", "", "späce \r\n:$*")
		every := make([]byte, 256)
		for i := range every {
			every[i] = byte(i)
		}
		large := strings.Repeat("0123456789abcdef", 4<<20/16)
		for _, payload := range []string{"", string(every), "\r\n", large, "after"} {
			publish(t, rails, "s", payload)
			h.expect("s", payload)
		}
		publish(t, rails, "", "no name")
		h.expect("", "no name")
		publish(t, rails, "späce \r\n:$*", "odd name")
		h.expect("späce \r\n:$*", "odd name")
	}},
	{"TakesAStormOfStreams", func(t *testing.T, start starter) {
		s, address := start(t, ptr("app"))
		h, rails := receive(t, s), client(t, address)
		streams := make([]string, 10_000)
		for i := range streams {
			streams[i] = fmt.Sprintf("room:%d", i)
		}
		h.subscribe(streams...)
		for _, i := range []int{0, 511, 512, 8191, 8192, 9999} {
			publish(t, rails, "app:"+streams[i], "here")
			h.expect(streams[i], "here")
		}
	}},
	{"IsNotReadyAfterRun", func(t *testing.T, start starter) {
		s, _ := start(t, nil)
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx, func(string, []byte) {}) }()
		eventually(t, "it is ready", func() bool { return s.Ready() == nil })
		stop()
		if err := <-ended; err != nil {
			t.Fatalf("Run ended with %v", err)
		}
		if s.Ready() == nil {
			t.Fatal("ready after it was stopped")
		}
		if err := s.Publish(context.Background(), "s", nil); err == nil {
			t.Fatal("published after it was stopped")
		}
	}},
}
