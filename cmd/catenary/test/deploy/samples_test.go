package deploy

import (
	"os/exec"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

func TestDeploySamples_SystemdTakesTheUnits(t *testing.T) {
	folder := t.TempDir()
	service := stage.WriteFile(t, folder, "catenary.service", stage.Sample(t, "catenary.service", "ExecStart=/usr/local/bin/catenary\n", "ExecStart=/bin/true\n"))
	socket := stage.WriteFile(t, folder, "catenary.socket", stage.Sample(t, "catenary.socket"))
	if output, err := exec.Command("systemd-analyze", "verify", service, socket).CombinedOutput(); err != nil || len(output) > 0 {
		t.Errorf("%v: %s", err, output)
	}
}
