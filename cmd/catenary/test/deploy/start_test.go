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
	stage.Attempt(t, stage.WithSecret, "--listen", taken.Addr().String()).EndsSaying(t, taken.Addr().String(), "listen", "in use")
}

func TestStart_NamesTheLineThatIsNotYAML(t *testing.T) {
	root := stage.RootWith(t, "config/cable.yml", "development:\n  adapter: redis\n url: redis://localhost\n")
	stage.Attempt(t, stage.WithSecret, "--root", root).EndsSaying(t, "config/cable.yml:2", "YAML")
}

func TestStart_NamesTheKeyThatItDoesNotKnow(t *testing.T) {
	root := stage.RootWith(t, "config/catenary.yml", "development:\n  ping:\n    intervall: 3s\n")
	stage.Attempt(t, stage.WithSecret, "--root", root).EndsSaying(t, "config/catenary.yml:3", "intervall", "interval")
}

func TestStart_SaysWhoseBroadcastsCannotBeHeard(t *testing.T) {
	root := stage.RootWith(t, "config/cable.yml", "development:\n  adapter: any_cable\n")
	stage.Attempt(t, stage.WithSecret, "--root", root).EndsSaying(t, "config/cable.yml:2", "any_cable", "redis")
	root = stage.RootWith(t, "config/cable.yml", "development:\n  adapter: async\n")
	stage.Attempt(t, stage.WithSecret, "--root", root, "--backend-transport", "post").EndsSaying(t, "config/cable.yml:2", "async", "backend.transport: auto")
}

func TestStart_AsksForASecret(t *testing.T) {
	stage.Attempt(t, []string{"SECRET_KEY_BASE="}, "--broadcasts-redis-url", "redis://127.0.0.1:6379").EndsSaying(t, "SECRET_KEY_BASE", "CATENARY_SECRET")
}

func TestStart_IsAliveAndNotReadyWhileRailsIsDown(t *testing.T) {
	nobody := stage.FreeAddress()
	catenary := stage.Attempt(t, stage.WithSecret, "--backend-url", "http://"+nobody)
	catenary.IsNotReadySaying(t, "not ready", "Rails", nobody, "start the app", "backend.url")
}

func TestStart_IsNotReadyWithTheWrongSecret(t *testing.T) {
	w := stage.NewWorld(t, "catenary")
	catenary := stage.Attempt(t, []string{"SECRET_KEY_BASE=" + strings.Repeat("wrong", 20)}, "--backend-url", w.App.URL(), "--broadcasts-redis-url", w.Redis.URL())
	catenary.IsNotReadySaying(t, "not ready", "403", "the same CATENARY_SECRET", "from SECRET_KEY_BASE", "environment development")
	catenary.Refuses(t)
}

func TestStart_IsNotReadyWithoutTheGem(t *testing.T) {
	w := stage.NewWorld(t, "rails")
	catenary := stage.Attempt(t, stage.WithSecret, "--backend-url", w.App.URL(), "--broadcasts-redis-url", w.Redis.URL())
	catenary.IsNotReadySaying(t, "not ready", "404", "catenary-rails")
	catenary.Refuses(t)
}

func TestStart_IsNotReadyWhileRedisIsDown(t *testing.T) {
	w := stage.NewWorld(t, "catenary")
	nobody := stage.FreeAddress()
	catenary := stage.Attempt(t, stage.WithSecret, "--backend-url", w.App.URL(), "--broadcasts-redis-url", "redis://"+nobody)
	catenary.IsNotReadySaying(t, "not ready", nobody)
}

func TestStart_SaysThatRailsPublishesElsewhere(t *testing.T) {
	w := stage.NewWorld(t, "catenary")
	for _, elsewhere := range []struct {
		flags []string
		words string
	}{
		{[]string{"--broadcasts-redis-url", w.Redis.URL(), "--broadcasts-channel-prefix", "other"}, `the channel_prefix \"other\"`},
		{[]string{"--broadcasts-adapter", "embedded", "--broadcasts-embedded-listen", stage.FreeAddress()}, "and REDIS_URL the latter"},
	} {
		catenary := stage.Attempt(t, stage.WithSecret, append(elsewhere.flags, "--backend-url", w.App.URL())...)
		err := catenary.Process.WaitFor(func() error {
			return stage.Mentions(catenary.Process.Output.String(), []string{"level=WARN", "Rails publishes", elsewhere.words})
		})
		if err != nil {
			t.Error(err)
		}
	}
}
