package deploy

import (
	"encoding/json"
	"os/exec"
	"regexp"
	"syscall"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// thrust must be in PATH: go build ./cmd/thrust in a clone of basecamp/thruster.
func TestThruster_RunsInFrontOfCatenary(t *testing.T) {
	t.Parallel()
	thrust, err := exec.LookPath("thrust")
	if err != nil {
		t.Skip("no thrust in PATH")
	}
	line := regexp.MustCompile(`(?m)^CMD (\[.+\])$`).FindStringSubmatch(stage.Sample(t, "Dockerfile"))
	var words []string
	if line == nil || json.Unmarshal([]byte(line[1]), &words) != nil || words[0] != "./bin/thrust" {
		t.Fatalf("the Dockerfile has the command %v", line)
	}
	address := stage.FreeAddress()
	env := []string{"HTTP_PORT=" + stage.Port(t, address), "TARGET_PORT=" + stage.Port(t, stage.FreeAddress())}
	c := startSample(t, address, env, thrust, words[1:]...)
	b := visit(t, address, address, c.Process)
	c.Process.Signal(syscall.SIGTERM)
	expectStop(t, b, c.Process)
}
