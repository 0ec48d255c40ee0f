package deploy

import (
	"fmt"
	"os/exec"
	"slices"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
	"go.yaml.in/yaml/v3"
)

// A deploy replaces the container of the app, not that of the accessory.
func TestKamal_AccessoryKeepsBrowsersConnectedWhenTheAppIsDeployed(t *testing.T) {
	t.Parallel()
	var deploy struct {
		Servers struct {
			Web struct{ Options map[string]string }
		}
		Proxy       kamalProxy
		Accessories struct {
			Cable struct {
				Env struct {
					Clear map[string]string
				}
				Proxy kamalProxy
			}
		}
	}
	if err := yaml.Unmarshal([]byte(stage.Sample(t, "kamal-accessory.yml")), &deploy); err != nil {
		t.Fatal(err)
	}
	cable := deploy.Accessories.Cable
	if want := "http://" + deploy.Servers.Web.Options["network-alias"] + ":3000"; cable.Env.Clear["CATENARY_BACKEND_URL"] != want {
		t.Errorf("CATENARY_BACKEND_URL is not %s", want)
	}

	redis, err := stage.StartRedis()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Close)
	app, err := stage.StartApp("lab", true, "REDIS_URL="+redis.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Close)
	env := append([]string{"REDIS_URL=" + redis.URL()}, stage.WithSecret...)
	for name, value := range cable.Env.Clear {
		if name == "CATENARY_BACKEND_URL" {
			value = app.URL()
		}
		if name != "CATENARY_LISTEN" { // Launch chooses another
			env = append(env, name+"="+value)
		}
	}
	c := stage.Launch(t, env)
	if err := c.Process.WaitFor(c.Ready); err != nil {
		t.Fatal(err)
	}

	p := startKamalProxy(t)
	p.deploy(t, "app-web", app.Address, deploy.Proxy)
	p.deploy(t, "app-cable", c.Address, cable.Proxy)
	b := visit(t, p.address, deploy.Proxy.Host, c.Process)
	replaced, err := stage.StartApp("lab", true, "REDIS_URL="+redis.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(replaced.Close)
	p.deploy(t, "app-web", replaced.Address, deploy.Proxy)
	app.Restart(t) // has catenary's address, as the new container has the old one's name
	echo(t, b, c.Process)
}

// kamalProxy is a section "proxy" of Kamal's configuration.
type kamalProxy struct {
	Host            string
	SSL             bool
	AppPort         int    `yaml:"app_port"`
	PathPrefix      string `yaml:"path_prefix"`
	StripPathPrefix *bool  `yaml:"strip_path_prefix"`
	ForwardHeaders  *bool  `yaml:"forward_headers"`
	Healthcheck     struct{ Path string }
}

// options returns what Kamal passes to kamal-proxy (lib/kamal/configuration/proxy.rb), without TLS,
// which needs a domain.
func (p kamalProxy) options() []string {
	options := []string{"--host=" + p.Host, "--deploy-timeout=30s", "--drain-timeout=30s", "--buffer-requests", "--buffer-responses"}
	for name, value := range map[string]string{"path-prefix": p.PathPrefix, "health-check-path": p.Healthcheck.Path} {
		if value != "" {
			options = append(options, "--"+name+"="+value)
		}
	}
	for name, value := range map[string]*bool{"strip-path-prefix": p.StripPathPrefix, "forward-headers": p.ForwardHeaders} {
		if value != nil {
			options = append(options, fmt.Sprintf("--%s=%t", name, *value))
		}
	}
	return options
}

// runningKamalProxy is a kamal-proxy in place of the one in its container.
type runningKamalProxy struct {
	program, address string
	env              []string
}

func startKamalProxy(t *testing.T) *runningKamalProxy {
	t.Helper()
	program := stage.Installed("kamal-proxy")
	folder, address := t.TempDir(), stage.FreeAddress()
	env := []string{"HOME=" + folder, "XDG_RUNTIME_DIR=" + folder}
	process, err := stage.Start(folder, env, program, "run", "--http-port", stage.Port(t, address), "--https-port", stage.Port(t, stage.FreeAddress()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(process.Kill)
	if err := process.WaitFor(func() error { return stage.Wrote(process, "Server started") }); err != nil {
		t.Fatal(err)
	}
	return &runningKamalProxy{program, address, env}
}

func (p *runningKamalProxy) deploy(t *testing.T, service, target string, proxy kamalProxy) {
	t.Helper()
	command := exec.Command(p.program, slices.Concat([]string{"deploy", service, "--target=" + target}, proxy.options())...)
	command.Env = p.env
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("kamal-proxy deploy %s: %v\n%s", service, err, output)
	}
}

func TestKamal_SamplesAreComplete(t *testing.T) {
	for _, name := range []string{"kamal-role.yml", "kamal-accessory.yml"} {
		var deploy map[string]any
		if err := yaml.Unmarshal([]byte(stage.Sample(t, name)), &deploy); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"service", "image", "servers", "proxy", "registry", "env", "volumes", "asset_path", "builder"} {
			if deploy[key] == nil {
				t.Errorf("%s has no %s", name, key)
			}
		}
	}
}
