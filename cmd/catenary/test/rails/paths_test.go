package rails

import (
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// TestPaths_LeadWhereTheyLeadNatively has an app that mounts Action Cable elsewhere, below accounts too, and a second one.
func TestPaths_LeadWhereTheyLeadNatively(t *testing.T) {
	t.Parallel()
	redis, err := stage.StartRedis()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Close)
	env := []string{"LAB_MOUNT_PATH=/realtime", "LAB_ACCOUNTS=true", "REDIS_URL=" + redis.URL()}
	native, behind := stage.NewApp("lab", false, env...), stage.NewApp("lab", true, env...)
	for _, app := range []*stage.App{native, behind} {
		if err := app.Boot(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(app.Close)
	}
	told := stage.Attempt(t, stage.WithSecret, "--backend-url", behind.URL(), "--proxy")
	patterns := stage.Attempt(t, stage.WithSecret, "--backend-url", behind.URL(), "--proxy", "--paths", "/realtime,/*/realtime")
	for _, c := range []*stage.Catenary{told, patterns} {
		if err := c.Process.WaitFor(c.Ready); err != nil {
			t.Fatal(err)
		}
	}
	for path, account := range map[string]string{
		"/realtime": "", "/realtime/": "", "//realtime": "", "/realtime//": "", "/7/realtime": "7", "/7//realtime/": "7", "/cable": "404", "/x/realtime": "404",
	} {
		want := greeting(t, native.Address, path)
		if want != account {
			t.Errorf("natively %s gives %q", path, want)
		}
		if got := greeting(t, patterns.Address, path); got != want {
			t.Errorf("%s gives %q, natively %q", path, got, want)
		}
	}
	for _, path := range []string{"/realtime", "//realtime/"} {
		if got := greeting(t, told.Address, path); got != "" {
			t.Errorf("as Rails tells it, %s gives %q", path, got)
		}
	}
	opened(t, told.Address, "/second")
	if err := told.Process.WaitFor(func() error {
		return stage.Mentions(told.Process.Output.String(), []string{"level=WARN", "at a path that is not among catenary's", "path=/second", "Rails serves it natively"})
	}); err != nil {
		t.Error(err)
	}
}

// greeting is the tenant of who comes by a path, or the status if nobody does.
func greeting(t *testing.T, address, path string) string {
	t.Helper()
	b, err := stage.Dial(address, stage.Handshake("GET", path, address, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.Response.StatusCode != 101 {
		return b.Response.Status[:3]
	}
	o := &ordered{b, t, `{"channel":"CounterChannel","owner":1}`}
	o.hears(stage.Welcome)
	b.Send(stage.Command("subscribe", o.identifier, nil))
	o.hears(stage.Confirmation(o.identifier))
	o.performs(`{"action":"increment"}`)
	said, _ := stage.NextFrame(b)
	_, tenant, _ := strings.Cut(said.Text, "hello ")
	tenant, _, _ = strings.Cut(tenant, `"`)
	return tenant
}

// opened expects a WebSocket there.
func opened(t *testing.T, address, path string) {
	t.Helper()
	b, err := stage.Dial(address, stage.Handshake("GET", path, address, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.Response.StatusCode != 101 {
		t.Errorf("%s is answered with %s", path, b.Response.Status)
	}
}
