package browser

import (
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// What users do in the chat, with each way for broadcasts to arrive.
func TestStories_OfTheChat(t *testing.T) {
	t.Parallel()
	for _, adapter := range []string{"redis", "async"} {
		t.Run(adapter, func(t *testing.T) {
			t.Parallel()
			lobby := startChat(t, adapter)
			alice := lobby.signIn("alice")
			bob := lobby.signIn("bob")
			alice.ExpectText("#messages > .event[data-event=joined]", "bob joined")

			tell := func(story string, play func(chat *chat, alice, bob *stage.Tab)) {
				t.Run(story, func(t *testing.T) {
					play(lobby.in(t), alice.In(t), bob.In(t))
				})
			}
			tell("two users talk", twoUsersTalk)
			tell("the room is remembered between actions", theRoomIsRemembered)
			tell("a mention notifies", aMentionNotifies)
			tell("a job shows its progress", aJobShowsItsProgress)
			tell("Puma restarts and nobody is disconnected", pumaRestarts)
			tell("catenary restarts and everybody reconnects", catenaryRestarts)
			tell("a user signs out", aUserSignsOut)
		})
	}
}

func twoUsersTalk(_ *chat, alice, bob *stage.Tab) {
	sendMessage(alice, "hello bob")
	expectMessage(bob, "alice", "hello bob")
	expectMessage(alice, "alice", "hello bob")
	bob.Write("#body", "h")
	alice.Expect("#typing[data-user=bob]")
	bob.Write("#body", "i\r")
	expectMessage(alice, "bob", "hi")
}

// The channel looks up its room once, in subscribed.
func theRoomIsRemembered(chat *chat, alice, bob *stage.Tab) {
	for _, user := range []*stage.Tab{alice, bob} {
		user.Open(chat.url() + "/rooms/2")
		user.Expect(connected)
	}
	sendMessage(alice, "first in the kitchen")
	sendMessage(alice, "second in the kitchen")
	expectMessage(bob, "alice", "first in the kitchen")
	expectMessage(bob, "alice", "second in the kitchen")
	for _, user := range []*stage.Tab{alice, bob} {
		user.Open(chat.url() + "/rooms/1")
		user.Expect(connected)
	}
}

// A mention shows in all tabs of a user, and reading it in one tab clears it in all.
func aMentionNotifies(chat *chat, alice, bob *stage.Tab) {
	second := chat.openAgain(bob)
	sendMessage(alice, "are you there, @bob?")
	bob.Expect("#notifications > .notification")
	second.ExpectText("#notifications-count", "1")
	bob.Click("#notifications .read")
	second.ExpectText("#notifications-count", "0")
	second.Open("about:blank")
}

func aJobShowsItsProgress(_ *chat, alice, _ *stage.Tab) {
	alice.Click("#word-count-start")
	alice.Expect("#word-count[data-state=done]")
	alice.ExpectText("#word-count-result dt", "alice")
}

func pumaRestarts(chat *chat, alice, bob *stage.Tab) {
	for _, user := range []*stage.Tab{alice, bob} {
		stage.Evaluate[bool](user, `changes = 0; new MutationObserver(() => changes++).observe(document.getElementById("status"), { attributes: true }); true`)
	}
	chat.app.Restart(chat.t)
	sendMessage(alice, "Puma is back")
	expectMessage(bob, "alice", "Puma is back")
	sendMessage(bob, "I did not notice")
	expectMessage(alice, "bob", "I did not notice")
	for _, user := range []*stage.Tab{alice, bob} {
		if changes := stage.Evaluate[int](user, "changes"); changes > 0 {
			chat.t.Errorf("the status of a page changed %d times", changes)
		}
	}
}

func catenaryRestarts(chat *chat, alice, bob *stage.Tab) {
	chat.catenary.Process.Stop(chat.t)
	alice.Expect("#status[data-state=reconnecting]")
	bob.Expect("#status[data-state=reconnecting]")
	if err := chat.catenary.Up(chat.app, chat.flags...); err != nil {
		chat.t.Fatal(err)
	}
	alice.Expect(connected)
	bob.Expect(connected)
	sendMessage(bob, "catenary is back")
	expectMessage(alice, "bob", "catenary is back")
}

// Signing out in one tab closes that user's connections in all tabs, and nobody else's.
func aUserSignsOut(chat *chat, alice, bob *stage.Tab) {
	second := chat.openAgain(alice)
	alice.Click("#sign-out")
	alice.Expect("#sign-in")
	second.Expect("#status[data-state=disconnected]")
	bob.ExpectText("#messages > .event[data-event=left]", "alice left")
	bob.Expect(connected)
	sendMessage(bob, "bye alice")
	expectMessage(bob, "bob", "bye alice")
	if strings.Contains(second.Text("#messages"), "bye alice") {
		second.T.Error("alice's second tab still gets messages")
	}
}
