package browser

import (
	"context"
	"os"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// A chat is the demo's Rails application in production mode, behind a catenary that serves
// everything on one port.
type chat struct {
	t        *testing.T
	chromium context.Context
	app      *stage.App
	catenary *stage.Catenary
	flags    []string
}

// startChat starts a chat with one of Rails' adapters, "redis" or "async".
func startChat(t *testing.T, adapter string, flags ...string) *chat {
	c := &chat{t: t, chromium: stage.StartChromium(t), flags: append([]string{"--proxy", "--environment", "production"}, flags...)}
	redisURL := ""
	if adapter == "redis" {
		redis, err := stage.StartRedis()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(redis.Close)
		redisURL = redis.URL()
	}
	var err error
	c.app, err = stage.StartApp("rails", false, "RAILS_ENV=production", "RAILS_SERVE_STATIC_FILES=1", "RAILS_LOG_TO_STDOUT=1",
		"CABLE_ADAPTER="+adapter, "REDIS_URL="+redisURL, "DATABASE_PATH="+t.TempDir()+"/chat.sqlite3")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.app.Close)
	if c.catenary, err = stage.StartCatenary(c.app, c.flags...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.catenary.Process.Kill()
		if t.Failed() {
			os.Stderr.WriteString(c.app.Process.Output.Tail() + "\n" + c.catenary.Process.Output.Tail() + "\n")
		}
	})
	return c
}

// in returns the same chat for a subtest.
func (c *chat) in(t *testing.T) *chat {
	part := *c
	part.t = t
	return &part
}

// signIn signs a user in and opens the Lobby.
func (c *chat) signIn(name string) *stage.Tab {
	c.t.Helper()
	user := stage.NewUser(c.t, c.chromium)
	user.Open(c.url() + "/session/new")
	user.Write("#user_name", name+"\r")
	user.Expect(connected)
	return user
}

// openAgain opens the Lobby in another tab of a user.
func (c *chat) openAgain(user *stage.Tab) *stage.Tab {
	c.t.Helper()
	second := user.NewTab()
	second.Open(c.url() + "/rooms/1")
	second.Expect(connected)
	return second
}

func (c *chat) url() string { return "http://" + c.catenary.Address }

const connected = `#status[data-state=connected]`

// sendMessage types a message and sends it.
func sendMessage(b *stage.Tab, text string) {
	b.T.Helper()
	b.Write("#body", text+"\r")
}

// pasteMessage pastes a message and sends it.
func pasteMessage(b *stage.Tab, text string) {
	b.T.Helper()
	b.Paste("#body", text)
	b.Write("#body", "\r")
}

// expectMessage waits for a message from a user.
func expectMessage(b *stage.Tab, name, text string) {
	b.T.Helper()
	b.ExpectText(`#messages > .message[data-user="`+name+`"] .body`, text)
}
