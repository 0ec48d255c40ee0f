package main

import (
	"context"
	"os"
	"testing"
)

// A chat is the Rails application of the demo, as in production, behind a catenary that serves everything on one port.
type chat struct {
	t        *testing.T
	chromium context.Context
	app      *app
	catenary *catenary
	flags    []string
}

// startChat starts it with a Redis, or with the source of broadcasts that is embedded in catenary.
func startChat(t *testing.T, source string, flags ...string) *chat {
	c := &chat{t: t, chromium: chromium(t), flags: append([]string{"--proxy", "--environment", "production"}, flags...)}
	redisURL := ""
	if source == "embedded" {
		address := freeAddress()
		redisURL = "redis://" + address + "/1"
		c.flags = append(c.flags, "--root", projectRoot+"/testdata/rails", "--broadcasts-adapter", "embedded", "--broadcasts-embedded-listen", address)
	} else {
		redis, err := startRedis()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(redis.close)
		redisURL = redis.url()
	}
	var err error
	c.app, err = startApp("rails", false, "RAILS_ENV=production", "RAILS_SERVE_STATIC_FILES=1", "RAILS_LOG_TO_STDOUT=1",
		"REDIS_URL="+redisURL, "DATABASE_PATH="+t.TempDir()+"/chat.sqlite3")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.app.close)
	if c.catenary, err = startCatenary(c.app, c.flags...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.catenary.process.kill()
		if t.Failed() {
			os.Stderr.WriteString(c.app.process.output.tail() + "\n" + c.catenary.process.output.tail() + "\n")
		}
	})
	return c
}

// in is the same chat, which fails this part of the test.
func (c *chat) in(t *testing.T) *chat {
	part := *c
	part.t = t
	return &part
}

// signIn opens the Lobby for a user.
func (c *chat) signIn(name string) *tab {
	c.t.Helper()
	user := newUser(c.t, c.chromium)
	user.open(c.url() + "/session/new")
	user.write("#user_name", name+"\r")
	user.expect(connected)
	return user
}

// again opens the Lobby in another tab.
func (c *chat) again(user *tab) *tab {
	c.t.Helper()
	second := user.another()
	second.open(c.url() + "/rooms/1")
	second.expect(connected)
	return second
}

func (c *chat) url() string { return "http://" + c.catenary.address }

const connected = `#status[data-state=connected]`

// says writes a message as a user does.
func (b *tab) says(text string) {
	b.t.Helper()
	b.write("#body", text+"\r")
}

// hears waits for a message of somebody.
func (b *tab) hears(name, text string) {
	b.t.Helper()
	b.expectText(`#messages > .message[data-user="`+name+`"] .body`, text)
}
