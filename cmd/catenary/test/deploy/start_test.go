package deploy

import (
	"net"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

func TestStart_FailsAtOnceIfThePortIsTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	stage.Launch(t, stage.WithSecret, "--listen", taken.Addr().String()).ExpectExit(t, taken.Addr().String(), "listen", "in use")
}

// Thruster overrides PORT, so it cannot be catenary's command.
func TestStart_AsksToPutThrusterInFront(t *testing.T) {
	stage.Launch(t, stage.WithSecret, "--", "./bin/thrust", "./bin/rails", "server").ExpectExit(t, "put it in front: ./bin/thrust catenary -- ./bin/rails server")
}

func TestStart_NamesTheLineWithInvalidYAML(t *testing.T) {
	root := stage.RootWith(t, "config/cable.yml", "development:\n  adapter: redis\n url: redis://localhost\n")
	stage.Launch(t, stage.WithSecret, "--root", root, "--backend-url", "http://"+stage.FreeAddress()).ExpectNotReady(t, "config/cable.yml:2", "YAML")
}

func TestStart_NamesAnUnknownKey(t *testing.T) {
	root := stage.RootWith(t, "config/catenary.yml", "development:\n  ping:\n    intervall: 3s\n")
	stage.Launch(t, stage.WithSecret, "--root", root).ExpectExit(t, "config/catenary.yml:3", "intervall", "interval")
}

func TestStart_RejectsAdaptersItCannotSubscribeTo(t *testing.T) {
	root := stage.RootWith(t, "config/cable.yml", "development:\n  adapter: any_cable\n")
	stage.Launch(t, stage.WithSecret, "--root", root).ExpectExit(t, "config/cable.yml:2", "any_cable", "redis")
	root = stage.RootWith(t, "config/cable.yml", "development:\n  adapter: async\n")
	stage.Launch(t, stage.WithSecret, "--root", root, "--backend-transport", "post").ExpectExit(t, "config/cable.yml:2", "async", "backend.transport: auto")
}

func TestStart_AsksForASecret(t *testing.T) {
	stage.Launch(t, []string{"SECRET_KEY_BASE="}, "--broadcasts-redis-url", "redis://127.0.0.1:6379").ExpectExit(t, "SECRET_KEY_BASE", "CATENARY_SECRET")
}

func TestStart_IsAliveAndNotReadyWhileRailsIsDown(t *testing.T) {
	nobody := stage.FreeAddress()
	catenary := stage.Launch(t, stage.WithSecret, "--backend-url", "http://"+nobody)
	catenary.ExpectNotReady(t, "not ready", "Rails", nobody, "start the app", "backend.url")
}

var healthyWorlds = stage.SharedWorlds[string]{
	Start: func(server string) (*stage.World, error) { return stage.StartWorld(server, "own") },
}

// healthyWorld returns a world that parallel tests share. They start a catenary of their own, and
// leave Rails and Redis alone.
func healthyWorld(t *testing.T) *stage.World {
	t.Helper()
	t.Parallel()
	return healthyWorlds.Find(t, "catenary")
}

func TestStart_IsNotReadyWithTheWrongSecret(t *testing.T) {
	w := healthyWorld(t)
	catenary := stage.Launch(t, []string{"SECRET_KEY_BASE=" + strings.Repeat("wrong", 20)}, "--backend-url", w.App.URL(), "--broadcasts-redis-url", w.Redis.URL())
	catenary.ExpectNotReady(t, "not ready", "403", "the same CATENARY_SECRET", "from SECRET_KEY_BASE", "environment development")
	catenary.ExpectRejected(t)
}

// The file may be left from a Rails that wrote it, while the present one uses SECRET_KEY_BASE.
func TestStart_TriesEverySecretTheAppMayUse(t *testing.T) {
	w := healthyWorld(t)
	root := stage.RootWith(t, "tmp/local_secret.txt", strings.Repeat("wrong", 20))
	catenary := stage.Launch(t, stage.WithSecret, "--root", root, "--backend-url", w.App.URL(), "--backend-transport", "link")
	if err := catenary.Process.WaitFor(catenary.Ready); err != nil {
		t.Error(err)
	}
}

func TestStart_IsNotReadyWithoutTheGem(t *testing.T) {
	w := stage.NewWorld(t, "rails")
	catenary := stage.Launch(t, stage.WithSecret, "--backend-url", w.App.URL(), "--broadcasts-redis-url", w.Redis.URL())
	catenary.ExpectNotReady(t, "not ready", "404", "catenary-rails")
	catenary.ExpectRejected(t)
}

func TestStart_IsNotReadyWhileRedisIsDown(t *testing.T) {
	w := healthyWorld(t)
	nobody := stage.FreeAddress()
	catenary := stage.Launch(t, stage.WithSecret, "--backend-url", w.App.URL(), "--broadcasts-redis-url", "redis://"+nobody)
	catenary.ExpectNotReady(t, "not ready", nobody)
}

// Settings that keep broadcasts or handshakes from arriving are found before any browser connects.
func TestStart_IsNotReadyIfBroadcastsWouldNotArrive(t *testing.T) {
	w := healthyWorld(t)
	other, err := stage.StartRedis()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	for name, wrong := range map[string]struct{ flags, words []string }{
		"prefix":        {[]string{"--broadcasts-channel-prefix", "other"}, []string{"Rails publishes with no channel_prefix", `the channel_prefix "other"`, "from --broadcasts-channel-prefix", "leave it to config/cable.yml"}},
		"another Redis": {[]string{"--broadcasts-redis-url", other.URL()}, []string{"Rails publishes at " + w.Redis.URL(), "catenary listens at " + other.URL(), "from --broadcasts-redis-url", "one Redis"}},
		"over POST":     {[]string{"--broadcasts-channel-prefix", "other", "--backend-transport", "post"}, []string{"browsers receive nothing: Rails publishes with no channel_prefix", `the channel_prefix "other"`}},
		"path":          {[]string{"--paths", "/ws"}, []string{"Rails has Action Cable at /cable", "paths (from --paths) is /ws"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := stage.Launch(t, stage.WithSecret, append(wrong.flags, "--backend-url", w.App.URL())...)
			c.ExpectNotReady(t, append(wrong.words, "not ready")...)
		})
	}
}

// In such an application every broadcast raises.
func TestStart_IsNotReadyIfRailsCannotBroadcast(t *testing.T) {
	t.Parallel()
	app, err := stage.StartApp("lab", true, "REDIS_URL=redis://"+stage.FreeAddress(), "RUBYOPT=-r"+stage.ProjectRoot+"/testdata/lab/without_redis")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Close)
	redis, err := stage.StartRedis()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Close)
	c := stage.Launch(t, stage.WithSecret, "--backend-url", app.URL(), "--broadcasts-redis-url", redis.URL())
	c.ExpectNotReady(t, "not ready", "browsers receive nothing: Rails cannot broadcast", "redis is not part of the bundle")
}
