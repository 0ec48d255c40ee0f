package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/child"
	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
	"github.com/catenary-cable/catenary/config"
	"go.yaml.in/yaml/v3"
)

// systemd and Kubernetes must not kill catenary before its grace, and Rails', has expired.
func TestDeploySamples_LeaveTimeForTheGrace(t *testing.T) {
	cfg, err := config.Load(config.Input{Root: t.TempDir(), Environ: stage.WithSecret})
	if err != nil {
		t.Fatal(err)
	}
	stage.Sample(t, "catenary.service", "\nTimeoutStopSec=40s\n", "")
	if least := cfg.Shutdown.Grace + child.MinGrace; least >= 40*time.Second {
		t.Errorf("catenary.service must leave more than %v", least)
	}

	var deployment struct {
		Spec struct {
			Template struct {
				Spec struct {
					Grace      int `yaml:"terminationGracePeriodSeconds"`
					Containers []struct {
						Env   []struct{ Name, Value string }
						Ports []struct {
							Name          string
							ContainerPort int `yaml:"containerPort"`
						}
						ReadinessProbe, LivenessProbe struct {
							HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
						}
					}
				}
			}
		}
	}
	if err := yaml.Unmarshal([]byte(stage.Sample(t, "kubernetes.yml", "readinessProbe", "readinessprobe", "livenessProbe", "livenessprobe")), &deployment); err != nil {
		t.Fatal(err)
	}
	pod := deployment.Spec.Template.Spec
	container, environ := pod.Containers[0], stage.WithSecret
	for _, variable := range container.Env {
		environ = append(environ, variable.Name+"="+variable.Value)
	}
	if cfg, err = config.Load(config.Input{Root: t.TempDir(), Environ: environ}); err != nil {
		t.Fatal(err)
	}
	if grace := time.Duration(pod.Grace) * time.Second; grace < cfg.Shutdown.Grace+child.MinGrace {
		t.Errorf("the pod is killed after %v", grace)
	}
	if !strings.HasSuffix(cfg.Listen, ":8080") || !strings.HasSuffix(cfg.Operations.Listen, ":9394") || container.Ports[0].ContainerPort != 8080 || container.Ports[1].ContainerPort != 9394 {
		t.Errorf("the ports are not those of the container: %s %s", cfg.Listen, cfg.Operations.Listen)
	}
	if container.ReadinessProbe.HTTPGet.Path != "/ready" || container.LivenessProbe.HTTPGet.Path != "/live" {
		t.Errorf("the probes are %v", container)
	}
}

// The settings that bin/rails generate catenary:install writes, and all that they suggest.
func TestDeploySamples_CatenaryAcceptsWhatTheGeneratorWrites(t *testing.T) {
	text, err := os.ReadFile(stage.ProjectRoot + "/rpc/rails/lib/generators/catenary/install/templates/catenary.yml")
	if err != nil {
		t.Fatal(err)
	}
	plain := string(text)
	suggested := regexp.MustCompile(`(?m)^( *)#(\w)`).ReplaceAllString(plain, "$1$2")
	if suggested == plain {
		t.Error("nothing is suggested")
	}
	for _, file := range []string{plain, suggested} {
		root := stage.RootWith(t, "config/catenary.yml", file)
		if _, err := config.Load(config.Input{Root: root, Environ: append([]string{"RAILS_ENV=production"}, stage.WithSecret...)}); err != nil {
			t.Error(err)
		}
	}
}

// Docker must not kill catenary before its grace, and Rails', has expired; kamal-proxy must find it.
func TestDeploySamples_KamalFitsWhatCatenaryDoes(t *testing.T) {
	type container struct {
		Env struct {
			Clear map[string]string
		}
		Options map[string]string
		Proxy   map[string]any
	}
	var role struct {
		Servers struct{ Web container }
	}
	var accessory struct {
		Accessories struct{ Cable container }
	}
	for name, into := range map[string]any{"kamal-role.yml": &role, "kamal-accessory.yml": &accessory} {
		if err := yaml.Unmarshal([]byte(stage.Sample(t, name)), into); err != nil {
			t.Fatal(err)
		}
	}
	cable := accessory.Accessories.Cable
	environ := stage.WithSecret
	for name, value := range cable.Env.Clear {
		environ = append(environ, name+"="+value)
	}
	cfg, err := config.Load(config.Input{Root: t.TempDir(), Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	for _, options := range []map[string]string{role.Servers.Web.Options, cable.Options} {
		seconds, err := strconv.Atoi(options["stop-timeout"])
		if err != nil || time.Duration(seconds)*time.Second <= cfg.Shutdown.Grace+child.MinGrace {
			t.Errorf("the container is killed after %q seconds", options["stop-timeout"])
		}
	}
	if want := fmt.Sprint(":", cable.Proxy["app_port"]); cfg.Listen != want || !cfg.Proxy {
		t.Errorf("kamal-proxy expects pages at %s", want)
	}
	if path := cfg.Paths[0]; cable.Proxy["path_prefix"] != path || cable.Proxy["strip_path_prefix"] != false || cable.Proxy["ssl"] != nil {
		t.Errorf("kamal-proxy sends %v", cable.Proxy)
	}
}

// Heroku sends SIGKILL 30 s after SIGTERM.
func TestDeploySamples_HerokuFitsTheGrace(t *testing.T) {
	flag := regexp.MustCompile(`--shutdown-grace (\w+) `).FindStringSubmatch(stage.Sample(t, "Procfile"))
	if flag == nil {
		t.Fatal("Procfile has no --shutdown-grace")
	}
	if grace, err := time.ParseDuration(flag[1]); err != nil || grace+child.MinGrace >= 30*time.Second {
		t.Errorf("Procfile has a grace of %s", flag[1])
	}
}
