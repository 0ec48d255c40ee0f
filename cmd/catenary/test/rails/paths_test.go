package rails

import (
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// The app mounts Action Cable at another path, below accounts too, and a second Action Cable.
func TestPaths_MatchTheMountPointsOfRails(t *testing.T) {
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
	discovered := stage.Launch(t, stage.WithSecret, "--backend-url", behind.URL(), "--proxy")
	patterns := stage.Launch(t, stage.WithSecret, "--backend-url", behind.URL(), "--proxy", "--paths", "/realtime,/*/realtime")
	for _, c := range []*stage.Catenary{discovered, patterns} {
		if err := c.Process.WaitFor(c.Ready); err != nil {
			t.Fatal(err)
		}
	}
	for path, account := range map[string]string{
		"/realtime": "", "/realtime/": "", "//realtime": "", "/realtime//": "", "/7/realtime": "7", "/7//realtime/": "7", "/cable": "404", "/x/realtime": "404",
	} {
		want := tenantAt(t, native.Address, path)
		if want != account {
			t.Errorf("natively %s gives %q", path, want)
		}
		if got := tenantAt(t, patterns.Address, path); got != want {
			t.Errorf("%s gives %q, natively %q", path, got, want)
		}
	}
	for _, path := range []string{"/realtime", "//realtime/"} {
		if got := tenantAt(t, discovered.Address, path); got != "" {
			t.Errorf("with the path that Rails reports, %s gives %q", path, got)
		}
	}
	expectUpgrade(t, discovered.Address, "/second")
	if err := discovered.Process.WaitFor(func() error {
		return stage.Mentions(discovered.Process.Output.String(), []string{"level=WARN", "to a path that is not in paths", "path=/second", "passed on to Rails"})
	}); err != nil {
		t.Error(err)
	}
}

// tenantAt connects at a path and returns the tenant of the connection, or the status if it is
// rejected.
func tenantAt(t *testing.T, address, path string) string {
	t.Helper()
	b, err := stage.Dial(address, stage.Handshake("GET", path, address, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.Response.StatusCode != 101 {
		return b.Response.Status[:3]
	}
	o := &subscriber{b, t, `{"channel":"CounterChannel","owner":1}`}
	o.subscribe()
	o.perform(`{"action":"increment"}`)
	e, _ := stage.NextFrame(b)
	_, tenant, _ := strings.Cut(e.Text, "hello ")
	tenant, _, _ = strings.Cut(tenant, `"`)
	return tenant
}

// expectUpgrade expects a handshake at a path to succeed.
func expectUpgrade(t *testing.T, address, path string) {
	t.Helper()
	b, err := stage.Dial(address, stage.Handshake("GET", path, address, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.Response.StatusCode != 101 {
		t.Errorf("%s was answered with %s", path, b.Response.Status)
	}
}
