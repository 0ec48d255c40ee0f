package main

import (
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
