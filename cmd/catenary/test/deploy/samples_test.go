package deploy

import (
	"os"
	"os/exec"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// systemd sees only these units and the targets that every unit is ordered by, because units of
// other packages may have faults.
func TestDeploySamples_SystemdAcceptsTheUnits(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	service := stage.WriteFile(t, folder, "catenary.service", stage.Sample(t, "catenary.service", "ExecStart=/usr/local/bin/catenary\n", "ExecStart=/bin/true\n"))
	socket := stage.WriteFile(t, folder, "catenary.socket", stage.Sample(t, "catenary.socket"))
	for _, target := range []string{"sysinit", "basic", "sockets", "shutdown"} {
		stage.WriteFile(t, folder, target+".target", "[Unit]\nDescription="+target+"\n")
	}
	command := exec.Command("systemd-analyze", "verify", service, socket)
	command.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+folder)
	if output, err := command.CombinedOutput(); err != nil || len(output) > 0 {
		t.Errorf("%v: %s", err, output)
	}
}
