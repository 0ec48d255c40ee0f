package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/config"
	"go.yaml.in/yaml/v3"
)

const samples = "../../docs/deploy/"

func sample(t *testing.T, name string, replace ...string) string {
	text, err := os.ReadFile(samples + name)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(string(text), replace[i]) {
			t.Fatalf("%s has no %s", name, replace[i])
		}
	}
	return strings.NewReplacer(replace...).Replace(string(text))
}

func write(t *testing.T, folder, name, text string) string {
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDeploySamples_SystemdTakesTheUnits(t *testing.T) {
	folder := t.TempDir()
	service := write(t, folder, "catenary.service", sample(t, "catenary.service", "ExecStart=/usr/local/bin/catenary\n", "ExecStart=/bin/true\n"))
	socket := write(t, folder, "catenary.socket", sample(t, "catenary.socket"))
	if output, err := exec.Command("systemd-analyze", "verify", service, socket).CombinedOutput(); err != nil || len(output) > 0 {
		t.Errorf("%v: %s", err, output)
	}
}

// What kills must wait for the grace, and for Rails.
func TestDeploySamples_LeaveTimeForTheGrace(t *testing.T) {
	cfg, err := config.Load(config.Input{Root: t.TempDir(), Environ: withSecret})
	if err != nil {
		t.Fatal(err)
	}
	sample(t, "catenary.service", "\nTimeoutStopSec=40s\n", "")
	if least := cfg.Shutdown.Grace + leastGrace; least >= 40*time.Second {
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
	if err := yaml.Unmarshal([]byte(sample(t, "kubernetes.yml", "readinessProbe", "readinessprobe", "livenessProbe", "livenessprobe")), &deployment); err != nil {
		t.Fatal(err)
	}
	pod := deployment.Spec.Template.Spec
	container, environ := pod.Containers[0], withSecret
	for _, variable := range container.Env {
		environ = append(environ, variable.Name+"="+variable.Value)
	}
	if cfg, err = config.Load(config.Input{Root: t.TempDir(), Environ: environ}); err != nil {
		t.Fatal(err)
	}
	if grace := time.Duration(pod.Grace) * time.Second; grace < cfg.Shutdown.Grace+leastGrace {
		t.Errorf("the pod is killed after %v", grace)
	}
	if !strings.HasSuffix(cfg.Listen, ":8080") || !strings.HasSuffix(cfg.Operations.Listen, ":9394") || container.Ports[0].ContainerPort != 8080 || container.Ports[1].ContainerPort != 9394 {
		t.Errorf("the ports are not those of the container: %s %s", cfg.Listen, cfg.Operations.Listen)
	}
	if container.ReadinessProbe.HTTPGet.Path != "/ready" || container.LivenessProbe.HTTPGet.Path != "/live" {
		t.Errorf("the probes are %v", container)
	}
}
