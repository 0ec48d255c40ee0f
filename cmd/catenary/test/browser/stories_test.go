package browser

import (
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// TestStories are what users do in the chat, in a real browser, with each way for broadcasts to arrive.
func TestStories(t *testing.T) {
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
			tell("catenary restarts and everybody comes back", catenaryRestarts)
			tell("a user signs out", aUserSignsOut)
		})
	}
}

func twoUsersTalk(_ *chat, alice, bob *stage.Tab) {
	says(alice, "hello bob")
	hears(bob, "alice", "hello bob")
	hears(alice, "alice", "hello bob")
	bob.Write("#body", "h")
	alice.Expect("#typing[data-user=bob]")
	bob.Write("#body", "i\r")
	hears(alice, "bob", "hi")
}

// The channel finds its room once, in subscribed.
func theRoomIsRemembered(chat *chat, alice, bob *stage.Tab) {
	for _, user := range []*stage.Tab{alice, bob} {
		user.Open(chat.url() + "/rooms/2")
		user.Expect(connected)
	}
	says(alice, "first in the kitchen")
	says(alice, "second in the kitchen")
	hears(bob, "alice", "first in the kitchen")
	hears(bob, "alice", "second in the kitchen")
	for _, user := range []*stage.Tab{alice, bob} {
		user.Open(chat.url() + "/rooms/1")
		user.Expect(connected)
	}
}

// Also in another tab, and what is read in one is read in all.
func aMentionNotifies(chat *chat, alice, bob *stage.Tab) {
	second := chat.again(bob)
	says(alice, "are you there, @bob?")
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
	says(alice, "Puma is back")
	hears(bob, "alice", "Puma is back")
	says(bob, "I did not notice")
	hears(alice, "bob", "I did not notice")
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
	says(bob, "catenary is back")
	hears(alice, "bob", "catenary is back")
}

// Signing out in one tab closes the user's sockets in both, and nobody else's.
func aUserSignsOut(chat *chat, alice, bob *stage.Tab) {
	second := chat.again(alice)
	alice.Click("#sign-out")
	alice.Expect("#sign-in")
	second.Expect("#status[data-state=disconnected]")
	bob.ExpectText("#messages > .event[data-event=left]", "alice left")
	bob.Expect(connected)
	says(bob, "bye alice")
	hears(bob, "bob", "bye alice")
	if strings.Contains(second.Text("#messages"), "bye alice") {
		second.T.Error("alice's second tab still hears what is said")
	}
}
