package clients

import (
	"path/filepath"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// A broadcast leaves out the page that has caused it (docs/others.md), whichever adapter carries it.
func TestOthers_APageDoesNotReceiveWhatItCauses(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T) (*stage.World, error){
		"redis": func(*testing.T) (*stage.World, error) { return stage.StartWorld("catenary", "own") },
		"post":  func(*testing.T) (*stage.World, error) { return stage.StartWorld("post", "own") },
		"rails": func(t *testing.T) (*stage.World, error) { return startWithoutRedis(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, err := start(t)
			if w != nil {
				t.Cleanup(w.Close)
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, version := range []string{"6.0", "8.1"} {
				stage.MustSucceed(t, stage.StartClient(t, w, "others", version))
			}
		})
	}
}

// startWithoutRedis starts an application with an adapter that only Rails can subscribe to.
func startWithoutRedis(t *testing.T, env ...string) (*stage.World, error) {
	w := &stage.World{}
	var err error
	env = append(env, "LAB_ADAPTER=polled", "LAB_BROADCASTS="+filepath.Join(t.TempDir(), "broadcasts"))
	w.App, err = stage.StartApp("lab", true, env...)
	if err != nil {
		return w, err
	}
	root := stage.RootWith(t, "config/cable.yml", "development:\n  adapter: polled\n")
	w.Catenary, err = stage.StartCatenary(w.App, "--root", root)
	if err != nil {
		return w, err
	}
	w.Address = w.Catenary.Address
	return w, nil
}
