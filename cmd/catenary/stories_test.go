package main

import (
	"strings"
	"testing"
)

// TestStories are what users do in the chat, in a real browser, with each source of broadcasts.
func TestStories(t *testing.T) {
	for _, source := range []string{"redis", "embedded"} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			lobby := startChat(t, source)
			alice := lobby.signIn("alice")
			bob := lobby.signIn("bob")
			alice.expectText("#messages > .event[data-event=joined]", "bob joined")

			tell := func(story string, play func(chat *chat, alice, bob *tab)) {
				t.Run(story, func(t *testing.T) {
					play(lobby.in(t), alice.in(t), bob.in(t))
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

func twoUsersTalk(_ *chat, alice, bob *tab) {
	alice.says("hello bob")
	bob.hears("alice", "hello bob")
	alice.hears("alice", "hello bob")
	bob.write("#body", "h")
	alice.expect("#typing[data-user=bob]")
	bob.write("#body", "i\r")
	alice.hears("bob", "hi")
}

// The channel finds its room once, in subscribed.
func theRoomIsRemembered(chat *chat, alice, bob *tab) {
	for _, user := range []*tab{alice, bob} {
		user.open(chat.url() + "/rooms/2")
		user.expect(connected)
	}
	alice.says("first in the kitchen")
	alice.says("second in the kitchen")
	bob.hears("alice", "first in the kitchen")
	bob.hears("alice", "second in the kitchen")
	for _, user := range []*tab{alice, bob} {
		user.open(chat.url() + "/rooms/1")
		user.expect(connected)
	}
}

// Also in another tab, and what is read in one is read in all.
func aMentionNotifies(chat *chat, alice, bob *tab) {
	second := chat.again(bob)
	alice.says("are you there, @bob?")
	bob.expect("#notifications > .notification")
	second.expectText("#notifications-count", "1")
	bob.click("#notifications .read")
	second.expectText("#notifications-count", "0")
	second.open("about:blank")
}

func aJobShowsItsProgress(_ *chat, alice, _ *tab) {
	alice.click("#word-count-start")
	alice.expect("#word-count[data-state=done]")
	alice.expectText("#word-count-result dt", "alice")
}

func pumaRestarts(chat *chat, alice, bob *tab) {
	for _, user := range []*tab{alice, bob} {
		evaluate[bool](user, `changes = 0; new MutationObserver(() => changes++).observe(document.getElementById("status"), { attributes: true }); true`)
	}
	chat.app.restart(chat.t)
	alice.says("Puma is back")
	bob.hears("alice", "Puma is back")
	bob.says("I did not notice")
	alice.hears("bob", "I did not notice")
	for _, user := range []*tab{alice, bob} {
		if changes := evaluate[int](user, "changes"); changes > 0 {
			chat.t.Errorf("the status of a page changed %d times", changes)
		}
	}
}

func catenaryRestarts(chat *chat, alice, bob *tab) {
	chat.catenary.process.stop(chat.t)
	alice.expect("#status[data-state=reconnecting]")
	bob.expect("#status[data-state=reconnecting]")
	if err := chat.catenary.up(chat.app, chat.flags...); err != nil {
		chat.t.Fatal(err)
	}
	alice.expect(connected)
	bob.expect(connected)
	bob.says("catenary is back")
	alice.hears("bob", "catenary is back")
}

// Signing out in one tab closes the user's sockets in both, and nobody else's.
func aUserSignsOut(chat *chat, alice, bob *tab) {
	second := chat.again(alice)
	alice.click("#sign-out")
	alice.expect("#sign-in")
	second.expect("#status[data-state=disconnected]")
	bob.expectText("#messages > .event[data-event=left]", "alice left")
	bob.expect(connected)
	bob.says("bye alice")
	bob.hears("bob", "bye alice")
	if strings.Contains(second.text("#messages"), "bye alice") {
		second.t.Error("alice's second tab still hears what is said")
	}
}
